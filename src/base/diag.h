/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence for people, in a buffer that the caller owns.
 *
 * It is filled at the place that knows the cause: what was wrong, where, and what was expected.
 * Functions that take a `struct diag *` accept NULL. The first failure wins: a caller higher up
 * may put a file name in front (diag_prefix) but does not overwrite the cause. No allocation. */
#pragma once

#include "base/err.h"

struct diag {
	char text[480];      /* one sentence without a full stop; "" when nothing was said */
	const char *section; /* static string: section or structure the fault lies in, or NULL */
	const char *field;   /* static string: the field at fault, or NULL */
	uint64_t offset;     /* byte offset in the file, when has_offset */
	bool has_offset;
};

#define DIAG_INIT ((struct diag){ .text = "" })

/* Each returns the error it was given, so that a refusal is one statement:
 *     return diag_fail(d, FAIL(ERR_RANGE), "RAM is %" PRIu64 " bytes, expected ...", n); */
err_t diag_fail(struct diag *d, err_t e, const char *fmt, ...) printf_like(3, 4);

/* The same for a field of a structure in a file: names it for people and for programs.
 * `section` and `field` must be string literals. */
err_t diag_field(struct diag *d, err_t e, const char *section, const char *field,
		 const char *fmt, ...) printf_like(5, 6);

/* A failed system call: appends the system's text for e.sys. */
err_t diag_sys(struct diag *d, err_t e, const char *fmt, ...) printf_like(3, 4);

/* Puts "NAME: " in front of what was said. */
void diag_prefix(struct diag *d, const char *name);
void diag_offset(struct diag *d, uint64_t offset);
