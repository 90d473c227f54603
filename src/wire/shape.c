/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/shape.h"

err_t arch_parse(uint32_t raw, enum arch *ret_arch)
{
	switch (raw) {
	case ARCH_X86_64: *ret_arch = ARCH_X86_64; return OK;
	case ARCH_AARCH64: *ret_arch = ARCH_AARCH64; return OK;
	default: return FAIL(ERR_ARCH);
	}
}

err_t dev_kind_parse(uint32_t raw, enum dev_kind *ret_kind)
{
	switch (raw) {
#define X(name, id, word, least, most) case id: *ret_kind = DEV_##name; return OK;
	DEV_KINDS(X)
#undef X
	default:
		return FAIL(ERR_RANGE);
	}
}

const char *dev_kind_word(enum dev_kind k)
{
	switch (k) {
#define X(name, id, word, least, most) case DEV_##name: return word;
	DEV_KINDS(X)
#undef X
	}
	unreachable_by_type();
}

uint32_t dev_kind_queues_min(enum dev_kind k)
{
	switch (k) {
#define X(name, id, word, least, most) case DEV_##name: return least;
	DEV_KINDS(X)
#undef X
	}
	unreachable_by_type();
}

uint32_t dev_kind_queues_max(enum dev_kind k)
{
	switch (k) {
#define X(name, id, word, least, most) case DEV_##name: return most;
	DEV_KINDS(X)
#undef X
	}
	unreachable_by_type();
}
