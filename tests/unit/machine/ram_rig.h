/* SPDX-License-Identifier: Apache-2.0 */
/* RAM without a machine: written and read from here as a guest would, frozen, and given to the
 * next. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/ram/ram_parts.h"
#include "unit/plan/shapes.h"

#define PAGE HOST_PAGE

static inline const struct geometry *geometry_of_ram(uint64_t bytes)
{
	struct shape shape = shape_of(1, bytes, 1);

	return geometry_of(&shape);
}

static inline struct ram *ram_fresh(uint64_t bytes)
{
	const struct geometry *g = geometry_of_ram(bytes);
	struct diag d = DIAG_INIT;
	struct ram *r = NULL;

	if (failed(ram_new(g, &d, &r)))
		fail_msg("%s", d.text);
	geometry_free(g);
	return r;
}

static inline struct ram *ram_over(struct ram_base *b)
{
	const struct geometry *g = geometry_of_ram(ram_base_len(b).v);
	struct diag d = DIAG_INIT;
	struct ram *r = NULL;

	if (failed(ram_reserve(g, &d, &r)) || failed(ram_attach(r, b, &d)))
		fail_msg("%s", d.text);
	geometry_free(g);
	return r;
}

static inline uint8_t *ram_at(const struct ram *r, uint64_t at)
{
	return ram_gmem(r)->base + at;
}

/* Nothing runs on it. */
static inline err_t ram_freeze_try(struct ram *r, struct diag *d, struct ram_base **ret_base)
{
	struct quiesced q = { NULL };

	return ram_freeze(r, q, NULL, d, ret_base);
}

static inline struct ram_base *ram_frozen(struct ram *r)
{
	struct diag d = DIAG_INIT;
	struct ram_base *b = NULL;

	if (failed(ram_freeze_try(r, &d, &b)))
		fail_msg("%s", d.text);
	ram_free(r);
	return b;
}

/* Byte i of every page that somebody filled: never zero. */
static inline uint8_t mark(uint64_t page, unsigned seed)
{
	return (uint8_t)(1 + (page * 31 + seed * 97) % 251);
}

static inline void fill_page(uint8_t *at, uint64_t page, unsigned seed)
{
	memset(at, mark(page, seed), PAGE);
	memcpy(at, &page, sizeof page);
}

/* Pages [from, to) of RAM. */
static inline void fill_pages(const struct ram *r, uint64_t from, uint64_t to, unsigned seed)
{
	for (uint64_t p = from; p < to; p++)
		fill_page(ram_at(r, p * PAGE), p, seed);
}

static inline void expect_pages(const struct ram *r, uint64_t from, uint64_t to, unsigned seed)
{
	uint8_t want[PAGE];

	for (uint64_t p = from; p < to; p++) {
		fill_page(want, p, seed);
		assert_memory_equal(ram_at(r, p * PAGE), want, PAGE);
	}
}

static inline bool is_zero(const uint8_t *at, size_t n)
{
	return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

static inline struct stat stat_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st;
}

/* Host pages that the files of a base take, all together. */
static inline uint64_t pages_taken(const struct ram_base *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ram_base_sources(b); i++)
		n += (uint64_t)stat_of(ram_base_source(b, i)).st_blocks * 512 / PAGE;
	return n;
}
