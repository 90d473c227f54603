/* SPDX-License-Identifier: Apache-2.0 */
/* RAM without a machine, and threads that write to it all the time, each to pages of its own. A page
 * says in every word which it is and how often it was written, so that what was lost, torn or mixed
 * up shows. Before a page is written it is compared with what it must be. */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/ram/ram_branch.h"
#include "machine/ram/uffd.h"
#include "unit/plan/shapes.h"

enum { WRITERS = 2, WORLD_PAGE = 4096, WORLD_WORDS = WORLD_PAGE / 8 };

struct world;
struct writer {
	struct world *world;
	uint64_t id;
	pthread_t thread;
	pthread_mutex_t turn; /* held while it writes a page */
};

struct world {
	const struct geometry *geometry;
	struct ram *ram;
	uint64_t pages;
	uint32_t *version; /* of each page; 0: zeroes */
	_Atomic uint64_t first, n; /* where they write */
	_Atomic bool stop;
	_Atomic uint64_t wrong, writes;
	struct writer writer[WRITERS];
	int page_map;
};

static inline uint64_t world_word(uint64_t page, uint32_t version, unsigned i)
{
	return version == 0 ? 0 : (page << 40 | (uint64_t)version << 12 | i) * 0x9E3779B97F4A7C15u;
}

static inline uint64_t *world_at(const struct ram *r, uint64_t page)
{
	return (uint64_t *)(void *)(ram_gmem(r)->base + page * WORLD_PAGE);
}

static inline bool world_page_is(const uint64_t *words, uint64_t page, uint32_t version)
{
	for (unsigned i = 0; i < WORLD_WORDS; i++)
		if (words[i] != world_word(page, version, i))
			return false;
	return true;
}

/* By the page's owner, or while all stand still. */
static inline void world_write(struct world *w, uint64_t page)
{
	uint64_t *words = world_at(w->ram, page);

	if (!world_page_is(words, page, w->version[page]))
		w->wrong++;
	w->version[page]++;
	for (unsigned i = 0; i < WORLD_WORDS; i++)
		words[i] = world_word(page, w->version[page], i);
	w->writes++;
}

static inline void *world_run(void *arg)
{
	struct writer *me = arg;
	struct world *w = me->world;
	uint64_t x = me->id + 1;

	while (!w->stop) {
		uint64_t page;

		x = x * 6364136223846793005u + 1442695040888963407u;
		pthread_mutex_lock(&me->turn);
		page = w->first + (x >> 33) % w->n;
		page -= page % WRITERS;
		world_write(w, page + me->id);
		pthread_mutex_unlock(&me->turn);
	}
	return NULL;
}

static inline void world_still(struct world *w, bool still)
{
	for (int i = 0; i < WRITERS; i++)
		(void)(still ? pthread_mutex_lock : pthread_mutex_unlock)(&w->writer[i].turn);
}

static inline struct world *world_new(uint64_t bytes)
{
	struct world *w = calloc(1, sizeof *w);
	struct shape shape = shape_of(1, bytes, 1);

	assert_non_null(w);
	w->geometry = geometry_of(&shape);
	assert_false(failed(ram_new(w->geometry, NULL, &w->ram)));
	w->pages = bytes / WORLD_PAGE;
	w->version = calloc(w->pages, sizeof w->version[0]);
	assert_non_null(w->version);
	w->n = w->pages;
	w->page_map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(w->page_map >= 0);
	for (int i = 0; i < WRITERS; i++) {
		w->writer[i] = (struct writer){ .world = w, .id = (uint64_t)i };
		pthread_mutex_init(&w->writer[i].turn, NULL);
	}
	return w;
}

static inline void world_start(struct world *w)
{
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&w->writer[i].thread, NULL, world_run,
						&w->writer[i]), 0);
}

static inline void world_let_write(const struct world *w, uint64_t times)
{
	uint64_t until = w->writes + times;

	while (w->writes < until)
		(void)usleep(100);
}

static inline void world_stop(struct world *w)
{
	w->stop = true;
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(w->writer[i].thread, NULL), 0);
}

/* All of the ram is as it was last written. */
static inline void world_check(struct world *w)
{
	assert_int_equal(w->wrong, 0);
	for (uint64_t p = 0; p < w->pages; p++)
		assert_true(world_page_is(world_at(w->ram, p), p, w->version[p]));
}

static inline void world_free(struct world *w)
{
	(void)close(w->page_map);
	ram_free(w->ram);
	geometry_free(w->geometry);
	free(w->version);
	free(w);
}

/* What a base must hold: the versions at one instant. */
struct instant {
	struct ram_base *base;
	uint32_t *version;
};

static inline uint32_t *world_versions(const struct world *w)
{
	uint32_t *v = malloc(w->pages * sizeof v[0]);

	assert_non_null(v);
	memcpy(v, w->version, w->pages * sizeof v[0]);
	return v;
}

static inline void instant_check(const struct instant *t, uint64_t pages)
{
	uint64_t words[WORLD_WORDS];

	for (uint64_t p = 0; p < pages; p++) {
		assert_false(failed(ram_base_read(t->base, BYTES(p * WORLD_PAGE), (uint8_t *)words,
						  sizeof words, NULL)));
		assert_true(world_page_is(words, p, t->version[p]));
	}
}

static inline void instant_drop(struct instant *t)
{
	ram_base_free(t->base);
	free(t->version);
}

/* ---- branching ---- */

static const struct quiesced still = { NULL };

/* Once with page faults served, where this host lets us, once without. */
enum way { SERVED, AT_ONCE };

static inline fd_t uffd_for(enum way way)
{
	fd_t fd = FD_NONE;

	if (way == SERVED && failed(uffd_open(-1, NULL, &fd))) {
		print_message("# SKIP page faults cannot be served here without privileges\n");
		skip();
	}
	return fd;
}

static inline struct ram_branch_means world_means(const struct world *w, int uffd)
{
	return (struct ram_branch_means){ uffd, w->page_map, NULL };
}

static inline void expect_ok(err_t e, const struct diag *d)
{
	if (failed(e))
		fail_msg("error %d (%d): %s", (int)e.code, e.sys, d->text);
}

static inline struct instant branch(struct world *w, int uffd)
{
	struct instant t;
	struct diag d = DIAG_INIT;
	struct ram_branch *b;

	expect_ok(ram_branch_prepare(w->ram, world_means(w, uffd), &d, &b), &d);
	world_still(w, true);
	expect_ok(ram_branch_arm(b, still, &d), &d);
	t.version = world_versions(w);
	world_still(w, false);
	expect_ok(ram_branch_finish(b, &d, &t.base), &d);
	ram_branch_free(b);
	return t;
}

static inline void assert_sealed(const struct ram_base *b)
{
	assert_true(ram_base_extents(b)->n <= RAM_EXTENTS_MAX);
	for (uint32_t i = 0; i < ram_base_sources(b); i++)
		assert_true(fcntl(ram_base_source(b, i), F_GET_SEALS) & F_SEAL_WRITE);
}
