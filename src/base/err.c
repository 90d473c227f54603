/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of the error codes. */
#include "base/err.h"

const char *err_name(enum err_code c)
{
	switch (c) {
#define X(name, number, class, text) case ERR_##name: return #name;
	ERR_CODES(X)
#undef X
	}
	return "UNKNOWN";
}

const char *err_text(enum err_code c)
{
	switch (c) {
#define X(name, number, class, text) case ERR_##name: return text;
	ERR_CODES(X)
#undef X
	}
	return "unknown error";
}

enum err_class err_class_of(enum err_code c)
{
	switch (c) {
#define X(name, number, class, text) case ERR_##name: return ERR_CLASS_##class;
	ERR_CODES(X)
#undef X
	}
	return ERR_CLASS_MONITOR;
}
