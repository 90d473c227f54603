/* SPDX-License-Identifier: Apache-2.0 */
/* The one door to hostile bytes, and the one way to write them.
 *
 * struct cur reads little-endian fields from a private copy of the input (never from guest RAM or
 * from a mapped file: both can change between two looks). cur_take holds the only bounds
 * comparison; every other read is built on it. A length-prefixed part becomes a new, smaller
 * cursor, so a decoder cannot reach its neighbour, and cur_done makes left-over bytes an error.
 * A failed read leaves the cursor where it was.
 *
 * Each take counts as one step, so that tests can show that the work done on an input is
 * proportional to its size (bytes_steps). */
#pragma once

#include "base/diag.h"

struct cur {
	const uint8_t *at, *end;
};

static inline struct cur cur_of(const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	/* Even zero may not be added to a null pointer (C17 6.5.6). */
	return (struct cur){ at, n != 0 ? at + n : at };
}

static inline size_t cur_left(const struct cur *c)
{
	return (size_t)(c->end - c->at);
}

must_check err_t cur_take(struct cur *c, size_t n, struct cur *ret_box);
must_check err_t cur_u8(struct cur *c, uint8_t *ret);
must_check err_t cur_u16(struct cur *c, uint16_t *ret);
must_check err_t cur_u32(struct cur *c, uint32_t *ret);
must_check err_t cur_u64(struct cur *c, uint64_t *ret);
/* Copies n bytes out. */
must_check err_t cur_bytes(struct cur *c, void *ret, size_t n);
/* n bytes that must all be zero: ERR_RESERVED otherwise. */
must_check err_t cur_zero(struct cur *c, size_t n);
/* Nothing may be left: ERR_TRAILING otherwise. */
must_check err_t cur_done(const struct cur *c);

/* Steps taken by this thread since it started; a test reads it before and after. */
uint64_t bytes_steps(void);

/* A bounded buffer being filled. Writing past its end is an error, not an overrun, and sticks:
 * encoders write everything and check once with out_done. */
struct out {
	uint8_t *base;
	size_t len, cap;
	bool overrun;
};

static inline struct out out_of(void *bytes, size_t cap)
{
	return (struct out){ .base = bytes, .cap = cap };
}

void out_u8(struct out *o, uint8_t v);
void out_u16(struct out *o, uint16_t v);
void out_u32(struct out *o, uint32_t v);
void out_u64(struct out *o, uint64_t v);
void out_bytes(struct out *o, const void *bytes, size_t n);
void out_zero(struct out *o, size_t n);
/* Zero bytes up to the next multiple of `align` from the start of the buffer. */
void out_align(struct out *o, size_t align);
/* ERR_SIZE when something did not fit. */
must_check err_t out_done(const struct out *o);
