/* SPDX-License-Identifier: Apache-2.0 */
/* RAM frozen again and again: what is in it, what was copied for that, and that nobody changes it
 * any more. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "unit/machine/ram_rig.h"

#define RAM MIB(16)
enum { PAGES = 4096, GENERATIONS = 20 };

/* ---- cold ---- */

static void a_cold_machine_s_ram_is_not_copied(void **state)
{
	struct ram *r = ram_fresh(RAM);
	struct stat was, is;
	struct ram_base *b;

	(void)state;
	/* Both holes are worth a mapping. */
	fill_pages(r, 300, 2000, 1);
	was = stat_of(r->memfd.raw);
	b = ram_frozen(r);
	assert_int_equal(ram_base_sources(b), 1);
	is = stat_of(ram_base_source(b, 0));
	assert_int_equal(is.st_ino, was.st_ino);
	assert_int_equal(is.st_blocks, was.st_blocks);
	r = ram_over(b);
	assert_true(is_zero(ram_at(r, 0), 300 * PAGE));
	expect_pages(r, 300, 2000, 1);
	assert_true(is_zero(ram_at(r, 2000 * PAGE), (PAGES - 2000) * PAGE));
	ram_free(r);
	ram_base_free(b);
}

static void nobody_changes_it(const struct ram_base *b)
{
	for (uint32_t i = 0; i < ram_base_sources(b); i++) {
		int fd = ram_base_source(b, i);
		off_t size = stat_of(fd).st_size;

		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ftruncate(fd, size - 4096), -1);
		assert_int_equal(ftruncate(fd, size + 4096), -1);
		assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096),
				 -1);
		assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
				 MAP_FAILED);
	}
}

static void it_is_sealed(void **state)
{
	struct ram *r = ram_fresh(RAM);
	struct ram_base *b, *above;

	(void)state;
	fill_pages(r, 0, 10, 1);
	b = ram_frozen(r);
	nobody_changes_it(b);
	r = ram_over(b);
	fill_pages(r, 3, 5, 2);
	above = ram_frozen(r);
	nobody_changes_it(above);
	ram_base_free(above);
	ram_base_free(b);
}

static void ram_that_was_never_touched(void **state)
{
	struct ram_base *b = ram_frozen(ram_fresh(RAM)), *above;
	struct ram *r = ram_over(b);

	(void)state;
	assert_int_equal(pages_taken(b), 0);
	assert_true(is_zero(ram_at(r, 0), RAM));
	above = ram_frozen(r);
	assert_int_equal(pages_taken(above), 0);
	assert_int_equal(ram_base_extents(above)->n, 1);
	ram_base_free(above);
	ram_base_free(b);
}

/* Somebody else has it mapped for writing: then it cannot be sealed, and goes on. */
static void what_cannot_be_sealed_stays_as_it_was(void **state)
{
	struct ram *r = ram_fresh(RAM);
	void *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd.raw, 0);
	struct diag d = DIAG_INIT;
	struct ram_base *b = NULL;

	(void)state;
	assert_ptr_not_equal(other, MAP_FAILED);
	fill_pages(r, 7, 70, 1);
	assert_int_equal(ram_freeze_try(r, &d, &b).code, ERR_SYS);
	assert_null(b);
	assert_non_null(strstr(d.text, "sealing guest RAM"));
	expect_pages(r, 7, 70, 1);
	fill_pages(r, 60, 80, 2);
	assert_int_equal(munmap(other, PAGE), 0);
	b = ram_frozen(r);
	r = ram_over(b);
	expect_pages(r, 7, 60, 1);
	expect_pages(r, 60, 80, 2);
	ram_free(r);
	ram_base_free(b);
}

/* ---- holes ---- */

static void read_all(const struct ram *r)
{
	for (uint64_t at = 0; at < ram_base_len(r->base).v; at += PAGE)
		(void)*(volatile uint8_t *)ram_at(r, at);
}

/* Every other page of some: nobody who reads grows what all share. */
static void few_holes_are_filled_once(void **state)
{
	struct ram *r = ram_fresh(MIB(64));
	struct ram_base *b, *above;
	uint64_t taken;

	(void)state;
	for (uint64_t p = 1000; p < 1200; p += 2)
		fill_pages(r, p, p + 1, 1);
	fill_pages(r, 16383, 16384, 1);
	b = ram_frozen(r);
	assert_in_range(ram_base_extents(b)->n, 1, RAM_EXTENTS_MAX);
	taken = pages_taken(b);
	assert_in_range(taken, 101, 2 + 200);
	for (int i = 0; i < 2; i++) {
		r = ram_over(b);
		read_all(r);
		for (uint64_t p = 1000; p < 1200; p += 2) {
			expect_pages(r, p, p + 1, 1);
			assert_true(is_zero(ram_at(r, (p + 1) * PAGE), PAGE));
		}
		assert_int_equal(pages_taken(b), taken);
		ram_free(r);
	}
	/* the same for a layer over it */
	r = ram_over(b);
	for (uint64_t p = 5000; p < 5100; p += 2)
		fill_pages(r, p, p + 1, 2);
	above = ram_frozen(r);
	taken = pages_taken(above);
	r = ram_over(above);
	read_all(r);
	assert_int_equal(pages_taken(above), taken);
	ram_free(r);
	ram_base_free(above);
	ram_base_free(b);
}

/* ---- private ---- */

static uint64_t page_rnd(uint64_t *seed, uint64_t below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*seed >> 33) % below;
}

/* What each page holds: the seed it was filled with, 0 for zeroes. */
static void expect_all(const struct ram *r, const uint8_t *seeds)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		if (seeds[p] == 0)
			assert_true(is_zero(ram_at(r, p * PAGE), PAGE));
		else
			expect_pages(r, p, p + 1, seeds[p]);
	}
}

/* Scattered pages, a stretch, and some zeroed again. */
static void write_some(const struct ram *r, uint8_t *seeds, unsigned generation, uint64_t *seed)
{
	uint64_t from = page_rnd(seed, PAGES - 64), n = page_rnd(seed, 64);

	for (int i = 0; i < 100; i++) {
		uint64_t p = page_rnd(seed, PAGES);

		fill_pages(r, p, p + 1, generation);
		seeds[p] = (uint8_t)generation;
	}
	fill_pages(r, from, from + n, generation);
	memset(seeds + from, (int)generation, n);
	for (int i = 0; i < 20; i++) {
		uint64_t p = page_rnd(seed, PAGES);

		memset(ram_at(r, p * PAGE), 0, PAGE);
		seeds[p] = 0;
	}
	for (int i = 0; i < 200; i++) /* reading makes nothing one's own */
		(void)*(volatile uint8_t *)ram_at(r, page_rnd(seed, PAGES) * PAGE);
}

static void twenty_generations(void **state)
{
	static uint8_t seeds[GENERATIONS + 1][PAGES];
	struct ram_base *b[GENERATIONS + 1];
	struct ram *r = ram_fresh(RAM);
	uint64_t seed = 1;

	(void)state;
	for (unsigned g = 0; g <= GENERATIONS; g++) {
		if (g > 0) {
			memcpy(seeds[g], seeds[g - 1], PAGES);
			r = ram_over(b[g - 1]);
		}
		expect_all(r, seeds[g]);
		write_some(r, seeds[g], g + 1, &seed);
		b[g] = ram_frozen(r);
		assert_in_range(ram_base_extents(b[g])->n, 1, RAM_EXTENTS_MAX);
		assert_in_range(ram_base_sources(b[g]), 1, RAM_SOURCES_MAX);
	}
	/* each is still what it was, whatever was written above it, and alone as well */
	for (unsigned g = 0; g <= GENERATIONS; g++) {
		unsigned i = g % 2 ? g : GENERATIONS - g - GENERATIONS % 2;

		r = ram_over(b[i]);
		ram_base_free(b[i]);
		expect_all(r, seeds[i]);
		ram_free(r);
	}
}

static void few_own_pages_are_all_that_is_copied(void **state)
{
	struct ram *r = ram_fresh(RAM);
	struct ram_base *b, *above;
	struct ram *over;
	uint64_t blocks;

	(void)state;
	fill_pages(r, 0, PAGES, 1);
	b = ram_frozen(r);
	blocks = (uint64_t)stat_of(ram_base_source(b, 0)).st_blocks;
	r = ram_over(b);
	fill_pages(r, 1000, 1003, 2);
	read_all(r);
	above = ram_frozen(r);
	assert_int_equal(ram_base_extents(above)->n, 3);
	assert_int_equal(ram_base_sources(above), 2);
	assert_int_equal(stat_of(ram_base_source(above, 0)).st_ino,
			 stat_of(ram_base_source(b, 0)).st_ino);
	assert_int_equal(stat_of(ram_base_source(above, 1)).st_blocks, 3 * PAGE / 512);
	/* the parent's are its own */
	assert_int_equal(stat_of(ram_base_source(b, 0)).st_blocks, blocks);
	over = ram_over(b);
	expect_pages(over, 0, PAGES, 1);
	ram_free(over);
	over = ram_over(above);
	expect_pages(over, 0, 1000, 1);
	expect_pages(over, 1000, 1003, 2);
	expect_pages(over, 1003, PAGES, 1);
	ram_free(over);
	ram_base_free(b);
	ram_base_free(above);
}

/* A layer that was written over completely is not kept. */
static void what_nobody_reads_is_not_kept(void **state)
{
	struct ram *r = ram_fresh(RAM);
	struct ram_base *b, *above;

	(void)state;
	fill_pages(r, 0, PAGES, 1);
	b = ram_frozen(r);
	r = ram_over(b);
	fill_pages(r, 0, PAGES, 2);
	above = ram_frozen(r);
	assert_int_equal(ram_base_extents(above)->n, 1);
	assert_int_equal(ram_base_sources(above), 1);
	assert_int_not_equal(stat_of(ram_base_source(above, 0)).st_ino,
			     stat_of(ram_base_source(b, 0)).st_ino);
	ram_base_free(b);
	ram_base_free(above);
}

static void what_was_cleared_takes_nothing(void **state)
{
	struct ram *r = ram_fresh(MIB(64));
	struct ram_base *b, *above;

	(void)state;
	fill_pages(r, 0, 8192, 1);
	b = ram_frozen(r);
	r = ram_over(b);
	memset(ram_at(r, 1000 * PAGE), 0, 6000 * PAGE);
	fill_pages(r, 2000, 2001, 2);
	above = ram_frozen(r);
	assert_int_equal(stat_of(ram_base_source(above, 1)).st_blocks, PAGE / 512);
	r = ram_over(above);
	expect_pages(r, 0, 1000, 1);
	assert_true(is_zero(ram_at(r, 1000 * PAGE), 1000 * PAGE));
	expect_pages(r, 2000, 2001, 2);
	assert_true(is_zero(ram_at(r, 2001 * PAGE), 4999 * PAGE));
	expect_pages(r, 7000, 8192, 1);
	ram_free(r);
	ram_base_free(b);
	ram_base_free(above);
}

/* ---- over a file ---- */

enum { FILE_AT = 8192 };

/* Every third block is a hole, the last one of RAM too. */
static bool in_file(uint64_t block)
{
	return block % 3 != 0;
}

static int ram_file(void)
{
	char name[] = "/tmp/spore-ram-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	uint8_t b[PAGE];

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(ftruncate(fd, FILE_AT + RAM), 0);
	for (uint64_t p = 0; p < PAGES; p++) {
		fill_page(b, p, 1);
		if (in_file(p / PAGES_PER_BLOCK))
			assert_int_equal(pwrite(fd, b, PAGE, (off_t)(FILE_AT + p * PAGE)), PAGE);
	}
	return fd;
}

static struct ram *ram_over_file(int fd)
{
	static uint8_t bits[PAGES / PAGES_PER_BLOCK / 8];
	struct ram_map map = { .blocks = PAGES / PAGES_PER_BLOCK, .bits = bits };
	struct diag d = DIAG_INIT;
	struct ram_base *b = NULL;
	struct ram *r;

	for (uint64_t i = 0; i < map.blocks; i++) {
		if (in_file(i))
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
	if (failed(ram_base_of_file(fd, FOFF(FILE_AT), BYTES(RAM), &map, &d, &b)))
		fail_msg("%s", d.text);
	assert_false(ram_base_is_sealed(b));
	r = ram_over(b);
	ram_base_free(b);
	return r;
}

static void a_file_is_copied_and_let_go(void **state)
{
	static uint8_t seeds[PAGES];
	int fd = ram_file();
	struct ram *r = ram_over_file(fd);
	struct ram_base *b;
	uint64_t seed = 5;

	(void)state;
	for (uint64_t p = 0; p < PAGES; p++)
		seeds[p] = in_file(p / PAGES_PER_BLOCK);
	expect_all(r, seeds);
	write_some(r, seeds, 2, &seed);
	b = ram_frozen(r);
	assert_true(ram_base_is_sealed(b));
	assert_int_equal(ram_base_sources(b), 1);
	nobody_changes_it(b);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_false(ram_base_is_cut(b));
	r = ram_over(b);
	expect_all(r, seeds);
	ram_free(r);
	ram_base_free(b);
}

static void a_file_that_was_cut_is_told(void **state)
{
	static const off_t cuts[] = { FILE_AT + RAM - 4096, FILE_AT + RAM / 2, FILE_AT, 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		int fd = ram_file();
		struct ram *r = ram_over_file(fd);
		struct diag d = DIAG_INIT;
		struct ram_base *b = NULL;

		fill_pages(r, 1, 3, 2);
		fill_pages(r, PAGES - 1, PAGES, 2); /* goes with the file, although no part of it */
		assert_false(ram_is_cut(r));
		assert_int_equal(ftruncate(fd, cuts[i]), 0);
		assert_true(ram_is_cut(r));
		assert_int_equal(ram_freeze_try(r, &d, &b).code, ERR_RAM_LOST);
		assert_null(b);
		assert_non_null(strstr(d.text, "was cut short"));
		if (cuts[i] > (off_t)(FILE_AT + 20 * PAGE)) { /* what is left is as it was */
			assert_true(is_zero(ram_at(r, 0), PAGE));
			expect_pages(r, 16, 20, 1);
			expect_pages(r, 1, 3, 2);
			fill_pages(r, 1, 3, 4);
			expect_pages(r, 1, 3, 4);
		}
		ram_free(r);
		close(fd);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cold_machine_s_ram_is_not_copied),
		cmocka_unit_test(it_is_sealed),
		cmocka_unit_test(ram_that_was_never_touched),
		cmocka_unit_test(what_cannot_be_sealed_stays_as_it_was),
		cmocka_unit_test(few_holes_are_filled_once),
		cmocka_unit_test(twenty_generations),
		cmocka_unit_test(few_own_pages_are_all_that_is_copied),
		cmocka_unit_test(what_nobody_reads_is_not_kept),
		cmocka_unit_test(what_was_cleared_takes_nothing),
		cmocka_unit_test(a_file_is_copied_and_let_go),
		cmocka_unit_test(a_file_that_was_cut_is_told),
	};

	return cmocka_run_group_tests_name("ram_freeze", tests, NULL, NULL);
}
