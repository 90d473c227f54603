/* SPDX-License-Identifier: Apache-2.0 */
/* How a layer of RAM is laid out over another: single cases by hand, and a hundred thousand at random
 * against an array of pages. */
#include "support/test.h"

#include <string.h>

#include "plan/ram_extents.h"

#define PAGE UINT64_C(4096)
enum { HOLE = RAM_SOURCE_HOLE, FRESH = 3, PAGES_MAX = 160, BELOW_MAX = 60, RUNS_MAX = 60 };

/* ---- by hand, in pages ---- */

/* 0..9 of source 0, a hole of ten, ten of source 1 from its page 50 on. */
static const struct ram_extent three[] = {
	{ BYTES(0), BYTES(10 * PAGE), 0, FOFF(0) },
	{ BYTES(10 * PAGE), BYTES(10 * PAGE), HOLE, FOFF(0) },
	{ BYTES(20 * PAGE), BYTES(10 * PAGE), 1, FOFF(50 * PAGE) },
};

struct page_run { uint64_t from, to; };
struct piece { uint64_t from, to; uint32_t source; uint64_t at; };

static struct ram_extents planned(const struct ram_layering *l)
{
	struct ram_extents x = { 0 };

	assert_int_equal(ram_extents_plan(l, &x).code, ERR_NONE);
	return x;
}

static void expect(const struct ram_extents *x, size_t n, const struct piece *want)
{
	assert_int_equal(x->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(x->e[i].offset.v, want[i].from * PAGE);
		assert_int_equal(x->e[i].len.v, (want[i].to - want[i].from) * PAGE);
		assert_int_equal(x->e[i].source, want[i].source);
		if (want[i].source != HOLE)
			assert_int_equal(x->e[i].at.v, want[i].at * PAGE);
	}
}

/* The three with these pages written. */
static void expect_over(size_t n_runs, const struct page_run *runs, size_t n,
			const struct piece *want)
{
	struct ram_run written[RUNS_MAX];
	struct ram_layering l = { .below = three, .n_below = 3, .written = written,
				  .n_written = n_runs, .fresh = FRESH };
	struct ram_extents x;

	for (size_t i = 0; i < n_runs; i++)
		written[i] = (struct ram_run){ BYTES(runs[i].from * PAGE),
					       BYTES((runs[i].to - runs[i].from) * PAGE) };
	x = planned(&l);
	expect(&x, n, want);
}

#define OVER(runs, ...) \
	do { \
		const struct piece want_[] = { __VA_ARGS__ }; \
		expect_over(sizeof(runs) / sizeof(runs)[0], runs, \
			    sizeof want_ / sizeof want_[0], want_); \
	} while (0)

static void the_worthless_are_given_up(void **state)
{
	const struct ram_run written = { BYTES(12 * PAGE), BYTES(2 * PAGE) };
	struct ram_layering l = { .below = three, .n_below = 3, .written = &written,
				  .n_written = 1, .fresh = FRESH, .worthless = BYTES(2 * PAGE) };
	const struct piece joined[] = { { 0, 10, 0, 0 }, { 10, 14, FRESH, 10 },
					{ 14, 20, HOLE, 0 }, { 20, 30, 1, 50 } };
	/* Longer, or with nothing to join: none is given up for its own sake. */
	const struct piece apart[] = { { 0, 10, 0, 0 }, { 10, 12, HOLE, 0 }, { 12, 14, FRESH, 12 },
				       { 14, 20, HOLE, 0 }, { 20, 30, 1, 50 } };
	const struct piece below[] = { { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 30, 1, 50 } };
	struct ram_extents x = planned(&l);

	(void)state;
	expect(&x, 4, joined);
	l.worthless = BYTES(PAGE);
	x = planned(&l);
	expect(&x, 5, apart);
	l.n_written = 0;
	l.worthless = BYTES(20 * PAGE);
	x = planned(&l);
	expect(&x, 3, below);
}

static void nothing_written_changes_nothing(void **state)
{
	const struct piece want[] = { { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 30, 1, 50 } };

	(void)state;
	expect_over(0, NULL, 3, want);
}

static void at_start_and_end(void **state)
{
	static const struct page_run start[] = { { 0, 1 } }, end[] = { { 29, 30 } };

	(void)state;
	OVER(start, { 0, 1, FRESH, 0 }, { 1, 10, 0, 1 }, { 10, 20, HOLE, 0 }, { 20, 30, 1, 50 });
	OVER(end, { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 29, 1, 50 }, { 29, 30, FRESH, 29 });
}

static void in_the_middle(void **state)
{
	static const struct page_run one[] = { { 23, 25 } };
	static const struct page_run two[] = { { 3, 4 }, { 6, 7 } };
	static const struct page_run hole[] = { { 12, 13 } };

	(void)state;
	OVER(one, { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 23, 1, 50 }, { 23, 25, FRESH, 23 },
	     { 25, 30, 1, 55 });
	OVER(two, { 0, 3, 0, 0 }, { 3, 4, FRESH, 3 }, { 4, 6, 0, 4 }, { 6, 7, FRESH, 6 },
	     { 7, 10, 0, 7 }, { 10, 20, HOLE, 0 }, { 20, 30, 1, 50 });
	OVER(hole, { 0, 10, 0, 0 }, { 10, 12, HOLE, 0 }, { 12, 13, FRESH, 12 }, { 13, 20, HOLE, 0 },
	     { 20, 30, 1, 50 });
}

static void exactly_one_piece(void **state)
{
	static const struct page_run first[] = { { 0, 10 } }, hole[] = { { 10, 20 } };
	static const struct page_run last[] = { { 20, 30 } }, all[] = { { 0, 30 } };

	(void)state;
	OVER(first, { 0, 10, FRESH, 0 }, { 10, 20, HOLE, 0 }, { 20, 30, 1, 50 });
	OVER(hole, { 0, 10, 0, 0 }, { 10, 20, FRESH, 10 }, { 20, 30, 1, 50 });
	OVER(last, { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 30, FRESH, 20 });
	OVER(all, { 0, 30, FRESH, 0 });
}

static void across_pieces(void **state)
{
	static const struct page_run two[] = { { 8, 12 } }, three_of[] = { { 9, 21 } };
	static const struct page_run both[] = { { 9, 11 }, { 19, 21 } };
	static const struct page_run edges[] = { { 5, 20 }, { 25, 30 } };
	/* apart, and yet they touch: one piece */
	static const struct page_run touching[] = { { 5, 10 }, { 10, 15 } };

	(void)state;
	OVER(two, { 0, 8, 0, 0 }, { 8, 12, FRESH, 8 }, { 12, 20, HOLE, 0 }, { 20, 30, 1, 50 });
	OVER(three_of, { 0, 9, 0, 0 }, { 9, 21, FRESH, 9 }, { 21, 30, 1, 51 });
	OVER(both, { 0, 9, 0, 0 }, { 9, 11, FRESH, 9 }, { 11, 19, HOLE, 0 }, { 19, 21, FRESH, 19 },
	     { 21, 30, 1, 51 });
	OVER(edges, { 0, 5, 0, 0 }, { 5, 20, FRESH, 5 }, { 20, 25, 1, 50 }, { 25, 30, FRESH, 25 });
	OVER(touching, { 0, 5, 0, 0 }, { 5, 15, FRESH, 5 }, { 15, 20, HOLE, 0 }, { 20, 30, 1, 50 });
}

static void a_replaced_source_does_not_stay(void **state)
{
	struct ram_layering l = { .below = three, .n_below = 3, .fresh = FRESH, .replaced = 1u << 1 };
	const struct piece one[] = { { 0, 10, 0, 0 }, { 10, 20, HOLE, 0 }, { 20, 30, FRESH, 20 } };
	const struct piece both[] = { { 0, 10, FRESH, 0 }, { 10, 20, HOLE, 0 },
				      { 20, 30, FRESH, 20 } };
	struct ram_extents x = planned(&l);

	(void)state;
	expect(&x, 3, one);
	l.replaced = 1u << 0 | 1u << 1;
	x = planned(&l);
	expect(&x, 3, both);
}

/* Five islands of written pages leave eleven pieces: the two smallest of the rest go, each joining
 * its neighbours. */
static void the_smallest_are_given_up(void **state)
{
	static const struct ram_extent one = { BYTES(0), BYTES(100 * PAGE), 0, FOFF(0) };
	static const struct page_run islands[] = { { 10, 11 }, { 30, 31 }, { 33, 34 }, { 60, 61 },
						   { 65, 66 } };
	static const struct piece want[] = {
		{ 0, 10, 0, 0 }, { 10, 11, FRESH, 10 }, { 11, 30, 0, 11 }, { 30, 34, FRESH, 30 },
		{ 34, 60, 0, 34 }, { 60, 66, FRESH, 60 }, { 66, 100, 0, 66 },
	};
	struct ram_run written[5];
	struct ram_layering l = { .below = &one, .n_below = 1, .written = written, .n_written = 5,
				  .fresh = FRESH };
	struct ram_extents x;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		written[i] = (struct ram_run){ BYTES(islands[i].from * PAGE), BYTES(PAGE) };
	x = planned(&l);
	expect(&x, sizeof want / sizeof want[0], want);
}

/* A machine that wrote every other page of a lot has only so many pieces all the same. */
static void a_comb(void **state)
{
	enum { TEETH = 20000 };
	static struct ram_run written[TEETH];
	struct ram_extent one = { BYTES(0), BYTES(2 * TEETH * PAGE), 0, FOFF(0) };
	struct ram_layering l = { .below = &one, .n_below = 1, .written = written,
				  .n_written = TEETH, .fresh = 1 };
	struct ram_extents x;

	(void)state;
	for (size_t i = 0; i < TEETH; i++)
		written[i] = (struct ram_run){ BYTES(2 * i * PAGE), BYTES(PAGE) };
	x = planned(&l);
	assert_in_range(x.n, 1, RAM_EXTENTS_MAX);
	assert_int_equal(x.e[0].source, 1);
	assert_int_equal(x.e[x.n - 1].offset.v + x.e[x.n - 1].len.v, one.len.v);
}

/* ---- at random ---- */

struct page { uint32_t source; uint64_t at; bool written; };

struct model {
	uint64_t seed;
	size_t pages, n_sources;
	struct page page[PAGES_MAX]; /* as it is to be if nothing is given up, but for the joining */
	struct ram_extent below[BELOW_MAX];
	struct ram_run runs[RUNS_MAX];
	struct ram_layering l;
};

static uint64_t rnd(struct model *m, uint64_t below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (m->seed >> 33) % below;
}

static void make_below(struct model *m)
{
	size_t most = 1 + rnd(m, rnd(m, 2) ? 8 : BELOW_MAX), n = 0;

	for (size_t at = 0; at < m->pages; n++) {
		size_t left = m->pages - at, len = n + 1 == most ? left : 1 + rnd(m, left);
		uint32_t source = rnd(m, 3) ? (uint32_t)rnd(m, m->n_sources) : HOLE;
		uint64_t from = source == HOLE ? 0 : rnd(m, 4) ? at : rnd(m, 1000);

		m->below[n] = (struct ram_extent){ BYTES(at * PAGE), BYTES(len * PAGE), source,
						   FOFF(from * PAGE) };
		for (size_t i = 0; i < len; i++)
			m->page[at + i] = (struct page){ source, from + i, false };
		at += len;
	}
	m->l.below = m->below;
	m->l.n_below = n;
}

static void make_runs(struct model *m)
{
	size_t most = rnd(m, rnd(m, 2) ? 6 : RUNS_MAX), spread = 1 + rnd(m, 20), n = 0;

	for (size_t at = rnd(m, spread); at < m->pages && n < most; n++) {
		size_t len = 1 + rnd(m, 1 + rnd(m, m->pages - at));

		m->runs[n] = (struct ram_run){ BYTES(at * PAGE), BYTES(len * PAGE) };
		for (size_t i = 0; i < len; i++)
			m->page[at + i].written = true;
		at += len + rnd(m, spread);
	}
	m->l.written = m->runs;
	m->l.n_written = n;
}

static void model_make(struct model *m, uint64_t seed)
{
	memset(m, 0, sizeof *m);
	m->seed = seed;
	m->pages = 1 + rnd(m, PAGES_MAX);
	m->n_sources = 1 + rnd(m, RAM_SOURCES_MAX);
	make_below(m);
	make_runs(m);
	m->l.fresh = (uint32_t)m->n_sources;
	m->l.replaced = rnd(m, 4) ? 0 : (uint32_t)rnd(m, 1u << m->n_sources);
	for (size_t i = 0; i < m->pages; i++) {
		struct page *p = &m->page[i];

		if (p->written || (p->source != HOLE && (m->l.replaced >> p->source & 1) != 0))
			*p = (struct page){ m->l.fresh, i, true };
	}
}

static bool joins(const struct page *a, const struct page *b)
{
	return a->source == b->source && (a->source == HOLE || a->at + 1 == b->at);
}

/* How many pieces those pages are. */
static size_t pieces_of(const struct page *p, size_t n)
{
	size_t pieces = n != 0;

	for (size_t i = 1; i < n; i++)
		pieces += !joins(&p[i - 1], &p[i]);
	return pieces;
}

static size_t piece_at(const struct page *p, size_t n, size_t i)
{
	size_t len = 1;

	while (i + len < n && joins(&p[i + len - 1], &p[i + len]))
		len++;
	return len;
}

static void result_pages(const struct model *m, const struct ram_extents *x, struct page *ret)
{
	uint64_t next = 0;

	assert_in_range(x->n, 1, RAM_EXTENTS_MAX);
	for (uint32_t i = 0; i < x->n; i++) {
		const struct ram_extent *e = &x->e[i];

		assert_int_equal(e->offset.v, next);
		assert_true(e->len.v != 0 && e->len.v % PAGE == 0 && e->at.v % PAGE == 0);
		assert_true(e->len.v <= m->pages * PAGE - next);
		for (uint64_t k = 0; k < e->len.v / PAGE; k++)
			ret[next / PAGE + k] = (struct page){ e->source, e->at.v / PAGE + k, false };
		next += e->len.v;
	}
	assert_int_equal(next, m->pages * PAGE);
	assert_int_equal(pieces_of(ret, m->pages), x->n); /* neighbours do not belong together */
}

/* Pages of the result are what they have to be; those given up beyond that are marked. */
static size_t check_pages(const struct model *m, const struct page *got, bool *given_up)
{
	size_t n = 0;

	for (size_t i = 0; i < m->pages; i++) {
		const struct page *p = &m->page[i];

		given_up[i] = false;
		if (got[i].source == m->l.fresh) {
			assert_int_equal(got[i].at, i);
			given_up[i] = p->source != m->l.fresh;
			n += given_up[i];
			continue;
		}
		assert_int_equal(got[i].source, p->source);
		if (p->source != HOLE)
			assert_int_equal(got[i].at, p->at);
	}
	return n;
}

/* Pieces are given up whole, none is larger than one that stays, and without the last of them there
 * would be too many. */
static void check_given_up(const struct model *m, const bool *given_up)
{
	size_t largest = 0, smallest_kept = SIZE_MAX;
	bool needed = false;
	struct page without[PAGES_MAX];

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0, len; i < m->pages; i += len) {
			len = piece_at(m->page, m->pages, i);
			for (size_t k = 1; k < len; k++)
				assert_int_equal(given_up[i + k], given_up[i]);
			if (given_up[i] && len > largest)
				largest = len;
			if (!given_up[i] && m->page[i].source != m->l.fresh && len < smallest_kept)
				smallest_kept = len;
			if (pass == 0 || !given_up[i] || len != largest)
				continue;
			for (size_t k = 0; k < m->pages; k++)
				without[k] = given_up[k] && (k < i || k >= i + len)
					? (struct page){ m->l.fresh, k, true } : m->page[k];
			needed = needed || pieces_of(without, m->pages) > RAM_EXTENTS_MAX;
		}
	}
	assert_true(largest <= smallest_kept);
	assert_true(needed);
}

static void a_hundred_thousand_cases(void **state)
{
	static struct model m;
	struct page got[PAGES_MAX];
	bool given_up[PAGES_MAX];
	unsigned reduced = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 100000; seed++) {
		struct ram_extents x;
		size_t n;

		model_make(&m, seed);
		x = planned(&m.l);
		result_pages(&m, &x, got);
		n = check_pages(&m, got, given_up);
		if (pieces_of(m.page, m.pages) <= RAM_EXTENTS_MAX) {
			assert_int_equal(n, 0);
			continue;
		}
		reduced++;
		check_given_up(&m, given_up);
	}
	/* that case was met, and so was the other */
	assert_in_range(reduced, 10000, 90000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worthless_are_given_up),
		cmocka_unit_test(nothing_written_changes_nothing),
		cmocka_unit_test(at_start_and_end),
		cmocka_unit_test(in_the_middle),
		cmocka_unit_test(exactly_one_piece),
		cmocka_unit_test(across_pieces),
		cmocka_unit_test(a_replaced_source_does_not_stay),
		cmocka_unit_test(the_smallest_are_given_up),
		cmocka_unit_test(a_comb),
		cmocka_unit_test(a_hundred_thousand_cases),
	};

	return cmocka_run_group_tests_name("ram_extents", tests, NULL, NULL);
}
