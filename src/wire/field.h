/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the fields of one section by name: a thin layer over the cursor, so that every refusal
 * says which field it was, where, and why, and every field states its largest value where it is
 * read. What cannot be wrong is UINTnn_MAX.
 *
 * Section and field names must be string literals: they travel in struct diag. */
#pragma once

#include "base/bytes.h"

struct fields {
	struct cur in;
	const uint8_t *start; /* of the section */
	const uint8_t *last;  /* of the field read last: a refusal after the read points here */
	struct diag *d;
	const char *section;
};

static inline struct fields fields_of(struct cur in, const char *section, struct diag *d)
{
	return (struct fields){ .in = in, .start = in.at, .last = in.at, .d = d,
				.section = section };
}

must_check err_t field_u8(struct fields *f, const char *name, uint8_t max, uint8_t *ret);
must_check err_t field_u16(struct fields *f, const char *name, uint16_t max, uint16_t *ret);
must_check err_t field_u32(struct fields *f, const char *name, uint32_t max, uint32_t *ret);
must_check err_t field_u64(struct fields *f, const char *name, uint64_t max, uint64_t *ret);
must_check err_t field_i64(struct fields *f, const char *name, int64_t *ret);
/* One byte that must be 0 or 1. */
must_check err_t field_bool(struct fields *f, const char *name, bool *ret);
must_check err_t field_bytes(struct fields *f, const char *name, void *ret, size_t n);
must_check err_t field_take(struct fields *f, const char *name, size_t n, struct cur *ret_box);
/* n reserved bytes: ERR_RESERVED when one is not zero. */
must_check err_t field_reserved(struct fields *f, size_t n);
/* How many elements of at least `each` bytes follow: judged against what is left before anything
 * is allocated or looped over. */
must_check err_t field_count(struct fields *f, const char *name, uint32_t max, size_t each,
			     uint32_t *ret);
/* A 16-bit length and that many bytes of UTF-8 without a NUL, into `size` bytes, terminated. */
must_check err_t field_string(struct fields *f, const char *name, char *ret, size_t size);
/* Nothing may be left. */
must_check err_t field_done(struct fields *f);

/* Refuses the field that was read last. */
err_t field_bad(struct fields *f, enum err_code code, const char *name, const char *fmt, ...)
	printf_like(4, 5);

/* The encoder's half of field_string; `s` is a C string. */
void out_string(struct out *o, const char *s);

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
must_check bool utf8_ok(const uint8_t *bytes, size_t n);
