/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are handed down: who sees whose writes, through generations against a plain array, who
 * may open the file meanwhile, and what is stored of it all. */
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"
#include "support/driver.h"
#include "support/place.h"

enum { SIZE = 20 * 65536 + 1536, GENERATIONS = 20 }; /* the last cluster is not whole */

static const char *file(const char *name, uint64_t size)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	for (uint64_t i = 0; i < size; i++)
		assert_true(fputc(pattern(i, 1), f) != EOF);
	assert_int_equal(fclose(f), 0);
	return name;
}

static struct disk *opened(const char *path, enum disk_mode mode)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	if (failed(disk_open(path, mode, ".", &d, &k)))
		fail_msg("%s", d.text);
	return k;
}

static void open_refused(const char *path, enum disk_mode mode, enum err_code code)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	assert_int_equal(disk_open(path, mode, ".", &d, &k).code, code);
	assert_null(k);
}

/* Both steps and the third; the disk lives on, to be freed or to go on. */
static struct disk_base *handed_down(struct disk *k)
{
	struct disk_base *b = NULL;
	struct diag d = DIAG_INIT;

	if (failed(disk_share(k, &d, &b)))
		fail_msg("%s", d.text);
	disk_hand_down(k, b);
	if (failed(disk_base_settle(b, NULL, &d)))
		fail_msg("%s", d.text);
	return b;
}

static struct disk_base *frozen(struct disk *k)
{
	struct disk_base *b = handed_down(k);

	disk_free(k);
	return b;
}

static struct disk *over(const struct disk_base *b)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;
	owned_fd layer = FD_NONE;

	if (failed(layer_file_new(".", disk_base_capacity(b), &d, &layer)) || failed(disk_over(b, &layer, &d, &k)))
		fail_msg("%s", d.text);
	return k;
}

static void write_at(struct disk *k, uint64_t at, const void *bytes, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, n };

	assert_int_equal(disk_write(k, FOFF(at), &iov, 1).code, ERR_NONE);
}

static void expect_at(struct disk *k, uint64_t at, const uint8_t *want, size_t n)
{
	static uint8_t got[SIZE];
	struct iovec iov = { got, n };

	assert_int_equal(disk_read(k, FOFF(at), &iov, 1).code, ERR_NONE);
	assert_memory_equal(got, want, n);
}

static void fill_sector(uint8_t b[512], unsigned seed)
{
	for (size_t i = 0; i < 512; i++)
		b[i] = pattern(i, seed);
}

static void write_seed(struct disk *k, uint64_t sector, unsigned seed)
{
	uint8_t b[512];

	fill_sector(b, seed);
	write_at(k, sector * 512, b, sizeof b);
}

static void expect_seed(struct disk *k, uint64_t sector, unsigned seed)
{
	uint8_t b[512];

	fill_sector(b, seed);
	expect_at(k, sector * 512, b, sizeof b);
}

/* What the file held at first. */
static void expect_original(struct disk *k, uint64_t sector)
{
	uint8_t b[512];

	for (size_t i = 0; i < 512; i++)
		b[i] = pattern(sector * 512 + i, 1);
	expect_at(k, sector * 512, b, sizeof b);
}

/* ---- modes ---- */

static void a_read_only_disk_stays_one(void **state)
{
	struct disk_base *b = frozen(opened(file("d", SIZE), DISK_RO));
	struct disk *k = over(b);
	uint8_t sector[512] = { 0 };
	struct iovec iov = { sector, sizeof sector };

	(void)state;
	assert_int_equal(disk_base_mode(b), DISK_RO);
	assert_int_equal(disk_base_capacity(b).v, SIZE);
	assert_int_equal(disk_mode(k), DISK_RO);
	assert_true(failed(disk_write(k, FOFF(0), &iov, 1)));
	expect_original(k, 5);
	assert_int_equal(disk_layers(k), 0);
	assert_int_equal(place_files(), 1);
	disk_free(k);
	disk_base_free(b);
}

static void a_writable_disk_becomes_a_base(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_RW), *child;
	struct disk_base *b;

	(void)state;
	write_seed(k, 7, 50);
	b = frozen(k);
	assert_int_equal(disk_base_mode(b), DISK_COW);
	child = over(b);
	expect_seed(child, 7, 50);
	write_seed(child, 7, 51);
	write_seed(child, 8, 52);
	disk_free(child);
	disk_base_free(b);
	k = opened("d", DISK_RW);
	expect_seed(k, 7, 50); /* the child wrote beside it */
	expect_original(k, 8);
	disk_free(k);
}

static void layers_are_handed_down(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_COW), *child;
	struct disk_base *b;

	(void)state;
	write_seed(k, 7, 50);
	b = frozen(k);
	child = over(b);
	assert_int_equal(disk_layers_used(child), 1);
	expect_seed(child, 7, 50);
	expect_original(child, 6);
	disk_free(child);
	disk_base_free(b);
	k = opened("d", DISK_RO);
	expect_original(k, 7);
	disk_free(k);
}

/* What was never written adds no layer. */
static void an_empty_layer_is_not_handed_down(void **state)
{
	struct disk_base *b = frozen(opened(file("d", SIZE), DISK_COW));

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct disk *k = over(b);

		assert_int_equal(k->n_under, 0);
		disk_base_free(b);
		b = frozen(k);
	}
	disk_base_free(b);
}

static void siblings_do_not_see_each_other(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_COW), *child[3], *late;
	struct disk_base *b;

	(void)state;
	write_seed(k, 128, 40);
	b = frozen(k);
	for (unsigned i = 0; i < 3; i++)
		child[i] = over(b);
	for (unsigned i = 0; i < 3; i++) {
		write_seed(child[i], 128 + i, 60 + i);
		write_seed(child[i], 300, 70 + i);
	}
	late = over(b);
	expect_seed(late, 128, 40);
	expect_original(late, 300);
	disk_base_free(b); /* they live without it */
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n < 3; n++) {
			if (n == i)
				expect_seed(child[i], 128 + n, 60 + i);
			else if (n == 0)
				expect_seed(child[i], 128, 40);
			else
				expect_original(child[i], 128 + n);
		}
		expect_seed(child[i], 300, 70 + i);
		disk_free(child[i]);
	}
	disk_free(late);
}

/* A branch: what goes on and what is spawned start from the same bytes. */
static void a_disk_goes_on_over_its_own_base(void **state)
{
	static const enum disk_mode modes[] = { DISK_RW, DISK_COW };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct disk *k = opened(file("d", SIZE), modes[i]), *child;
		struct disk_base *b;

		write_seed(k, 7, 50);
		b = handed_down(k);
		disk_go_on(k, b, over(b));
		assert_int_equal(disk_mode(k), DISK_COW);
		child = over(b);
		write_seed(k, 8, 51);
		write_seed(child, 9, 52);
		expect_seed(k, 7, 50);
		expect_seed(k, 8, 51);
		expect_original(k, 9);
		expect_seed(child, 7, 50);
		expect_original(child, 8);
		expect_seed(child, 9, 52);
		disk_base_free(b);
		disk_free(child);
		expect_seed(k, 8, 51);
		disk_free(k);
	}
}

/* ---- who may open the file ---- */

static void its_lock_is_shared_from_then_on(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_RW), *child;
	struct disk_base *b = NULL;

	(void)state;
	open_refused("d", DISK_RO, ERR_LOCKED);
	assert_int_equal(disk_share(k, NULL, &b).code, ERR_NONE);
	open_refused("d", DISK_RO, ERR_LOCKED); /* not yet: that step can be undone */
	disk_hand_down(k, b);
	disk_free(k);
	open_refused("d", DISK_RW, ERR_LOCKED);
	disk_free(opened("d", DISK_RO));
	disk_free(opened("d", DISK_COW));
	child = over(b);
	disk_base_free(b);
	open_refused("d", DISK_RW, ERR_LOCKED);
	disk_free(opened("d", DISK_RO));
	disk_free(child);
	disk_free(opened("d", DISK_RW));
}

/* A share that nobody went on with leaves a disk as it was. */
static void a_share_can_be_dropped(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_RW);
	struct disk_base *b = NULL;

	(void)state;
	assert_int_equal(disk_share(k, NULL, &b).code, ERR_NONE);
	disk_base_free(b);
	open_refused("d", DISK_RO, ERR_LOCKED);
	write_seed(k, 7, 50);
	expect_seed(k, 7, 50);
	assert_int_equal(disk_mode(k), DISK_RW);
	disk_free(k);
}

/* ---- another file ---- */

static void another_file_has_the_same_size(void **state)
{
	static const enum disk_mode modes[] = { DISK_RO, DISK_RW, DISK_COW };
	struct disk_base *b = NULL;

	(void)state;
	file("d", SIZE);
	file("short", SIZE - 512);
	for (size_t i = 0; i < 3; i++) {
		struct diag d = DIAG_INIT;

		assert_int_equal(disk_base_open("short", modes[i], BYTES(SIZE), &d, &b).code,
				 ERR_CHANGED);
		assert_null(b);
		assert_non_null(strstr(d.text, "short: holds 1311744 bytes, the machine's disk "
					       "has 1312256"));
		disk_free(opened("short", DISK_RW)); /* let go of */
		assert_int_equal(disk_base_open("nowhere", modes[i], BYTES(SIZE), &d, &b).code,
				 ERR_FILE);
		assert_int_equal(disk_base_open("d", modes[i], BYTES(SIZE), &d, &b).code, ERR_NONE);
		assert_int_equal(disk_base_mode(b), modes[i]);
		disk_base_free(take_ptr(b));
	}
}

static void another_file_is_written_in_place(void **state)
{
	struct disk_base *b = NULL;
	struct disk *k;

	(void)state;
	assert_int_equal(disk_base_open(file("d", SIZE), DISK_RW, BYTES(SIZE), NULL, &b).code,
			 ERR_NONE);
	k = over(b);
	disk_base_free(b);
	open_refused("d", DISK_RO, ERR_LOCKED);
	write_seed(k, 7, 50);
	disk_free(k);
	k = opened("d", DISK_RO);
	expect_seed(k, 7, 50);
	disk_free(k);
}

/* ---- generations ---- */

struct model {
	uint8_t bytes[SIZE];
	uint32_t seed;
};

static uint32_t rnd(struct model *m, uint32_t below)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % below;
}

static void change(struct model *m, struct disk *k)
{
	uint32_t sectors = SIZE / 512, at = rnd(m, sectors), n = 1 + rnd(m, rnd(m, 4) ? 8 : 300);

	if (rnd(m, 4) == 0)
		at = at / 128 * 128;
	if (n > sectors - at)
		n = sectors - at;
	if (rnd(m, 4) == 0) {
		memset(m->bytes + at * 512, 0, n * 512);
		assert_int_equal(disk_zero(k, FOFF(at * 512), BYTES(n * 512), rnd(m, 2)).code, ERR_NONE);
		return;
	}
	for (uint32_t i = 0; i < n * 512; i++)
		m->bytes[at * 512 + i] = (uint8_t)rnd(m, 256);
	write_at(k, at * 512, m->bytes + at * 512, n * 512);
}

static void twenty_generations_from(enum disk_mode mode, uint32_t seed)
{
	static struct model m, then[GENERATIONS];
	struct disk_base *b[GENERATIONS];
	struct disk *k = opened(file("d", SIZE), mode);
	uint32_t deepest = 0;

	m.seed = seed;
	for (size_t i = 0; i < SIZE; i++)
		m.bytes[i] = pattern(i, 1);
	for (size_t g = 0; g < GENERATIONS; g++) {
		for (uint32_t i = rnd(&m, 4) + 1; i > 0; i--)
			change(&m, k);
		expect_at(k, 0, m.bytes, SIZE);
		then[g] = m;
		b[g] = frozen(k);
		k = over(b[g]);
		assert_in_range(k->n_under, 0, DISK_LAYERS_MAX);
		deepest = k->n_under > deepest ? k->n_under : deepest;
	}
	assert_int_equal(deepest, DISK_LAYERS_MAX);
	disk_free(k);
	for (size_t g = 0; g < GENERATIONS; g++) {
		k = over(b[g]);
		disk_base_free(b[g]);
		expect_at(k, 0, then[g].bytes, SIZE);
		change(&then[g], k);
		expect_at(k, 0, then[g].bytes, SIZE);
		disk_free(k);
	}
}

static void twenty_generations(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 10; seed++)
		twenty_generations_from(seed % 2 ? DISK_COW : DISK_RW, seed);
	assert_int_equal(place_files(), 1);
}

/* Merged when a child would get one layer more than it should have, and not before. */
static void a_chain_is_merged_at_its_limit(void **state)
{
	struct disk *k = opened(file("d", SIZE), DISK_COW);
	struct disk_base *b = NULL;

	(void)state;
	for (uint32_t g = 1; g <= DISK_LAYERS_MAX + 1; g++) {
		write_seed(k, g * 100, g);
		b = frozen(k);
		k = over(b);
		assert_int_equal(k->n_under, g <= DISK_LAYERS_MAX ? g : 1);
		disk_base_free(b);
	}
	for (uint32_t g = 1; g <= DISK_LAYERS_MAX + 1; g++)
		expect_seed(k, g * 100, g);
	expect_original(k, 50);
	disk_free(k);
}

/* ---- storing ---- */

static struct disk *reopened(const struct blk_state *s)
{
	struct disk_places at = { .snapshot_dir = open(".", O_DIRECTORY | O_RDONLY | O_CLOEXEC),
				  .layer_dir = "." };
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	if (failed(disk_reopen(s, &at, &d, &k)))
		fail_msg("%s", d.text);
	close(at.snapshot_dir);
	return k;
}

static void what_is_stored_is_what_it_holds(void **state)
{
	static struct model m;
	struct disk *k = opened(file("d", SIZE), DISK_COW);
	struct disk_base *b = NULL;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		m.bytes[i] = pattern(i, 1);
	for (int g = 0; g < 4; g++) {
		char name[16];
		struct blk_state s;
		struct diag d = DIAG_INIT;
		struct disk *again;
		int to;

		for (int i = 0; i < 3; i++)
			change(&m, k);
		disk_base_free(b);
		b = frozen(k);
		(void)snprintf(name, sizeof name, "g%d", g);
		to = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (failed(disk_base_store_as(b, to, name, &d, &s)))
			fail_msg("%s", d.text);
		close(to);
		assert_true(s.layer.stored);
		again = reopened(&s);
		expect_at(again, 0, m.bytes, SIZE);
		disk_free(again);
		free(s.layer_map);
		k = over(b);
		expect_at(k, 0, m.bytes, SIZE);
	}
	disk_base_free(b);
	disk_free(k);
}

static int clear(void **state)
{
	(void)state;
	place_clear();
	return 0;
}

/* ---- files used again ---- */

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static struct layer_files *files_new(uint32_t most)
{
	struct layer_files *f = NULL;

	assert_int_equal(layer_files_new(most, &f).code, ERR_NONE);
	return f;
}

static fd_t files_take(struct layer_files *f, uint64_t capacity)
{
	struct diag d = DIAG_INIT;
	fd_t file = FD_NONE;

	if (failed(layer_files_take(f, BYTES(capacity), &d, &file)))
		fail_msg("%s", d.text);
	return file;
}

/* A file of that length without a byte in it. */
static void expect_hole(int fd, off_t len)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, len);
	assert_int_equal(lseek(fd, 0, SEEK_DATA), -1);
}

static void a_file_that_comes_back_is_empty_and_used_again(void **state)
{
	struct layer_files *f = files_new(1);
	fd_t one = files_take(f, SIZE), other;
	ino_t was = inode(one.raw);

	(void)state;
	assert_int_equal(pwrite(one.raw, "secret", 6, 65536), 6);
	layer_files_back(f, &one, BYTES(SIZE));
	assert_false(fd_is_open(one));
	one = files_take(f, SIZE);
	assert_int_equal(inode(one.raw), was);
	expect_hole(one.raw, SIZE);
	other = files_take(f, SIZE);
	assert_int_not_equal(inode(other.raw), was);
	layer_files_back(f, &one, BYTES(SIZE));
	layer_files_back(f, &other, BYTES(SIZE)); /* one is enough: it is closed */
	assert_false(fd_is_open(other));
	one = files_take(f, SIZE / 2 / 512 * 512);
	assert_int_equal(inode(one.raw), was);
	expect_hole(one.raw, SIZE / 2 / 512 * 512);
	fd_drop(&one);
	layer_files_free(f);
}

/* A disk over that base with a file of those, to which it goes in the end. */
static struct disk *at_home(const struct disk_base *b, struct layer_files *f, ino_t *ret_inode)
{
	owned_fd layer = files_take(f, SIZE);
	struct diag d = DIAG_INIT;
	struct disk *k = NULL;

	*ret_inode = inode(layer.raw);
	if (failed(disk_over(b, &layer, &d, &k)))
		fail_msg("%s", d.text);
	disk_layer_home(k, f);
	return k;
}

static void a_private_layer_goes_home_unless_it_was_handed_down(void **state)
{
	struct disk_base *b = frozen(opened(file("home", SIZE), DISK_COW)), *child;
	struct layer_files *f = files_new(4);
	struct disk *k;
	ino_t first, again;
	uint8_t sector[512];

	(void)state;
	k = at_home(b, f, &first);
	write_seed(k, 3, 7);
	disk_free(k);
	k = at_home(b, f, &again);
	assert_int_equal(again, first);
	for (size_t i = 0; i < sizeof sector; i++)
		sector[i] = pattern(3 * 512 + i, 1);
	expect_at(k, 3 * 512, sector, sizeof sector); /* the base's, not what was written before */
	write_seed(k, 3, 8);
	layer_files_free(f); /* whoever is to go there keeps it */
	child = frozen(k);
	k = over(child);
	fill_sector(sector, 8);
	expect_at(k, 3 * 512, sector, sizeof sector);
	disk_free(k);
	disk_base_free(child);
	disk_base_free(b);
}

static void a_layer_that_was_handed_down_is_not_used_again(void **state)
{
	struct disk_base *b = frozen(opened(file("kept", SIZE), DISK_COW)), *child;
	struct layer_files *f = files_new(4);
	ino_t first, next;
	struct disk *k = at_home(b, f, &first);

	(void)state;
	write_seed(k, 3, 8);
	child = handed_down(k);
	disk_free(k);
	k = at_home(b, f, &next);
	assert_int_not_equal(first, next);
	disk_free(k);
	disk_base_free(child);
	disk_base_free(b);
	layer_files_free(f);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, clear)
	static const struct CMUnitTest tests[] = {
		T(a_read_only_disk_stays_one),
		T(a_writable_disk_becomes_a_base),
		T(layers_are_handed_down),
		T(an_empty_layer_is_not_handed_down),
		T(siblings_do_not_see_each_other),
		T(a_disk_goes_on_over_its_own_base),
		T(its_lock_is_shared_from_then_on),
		T(a_share_can_be_dropped),
		T(another_file_has_the_same_size),
		T(another_file_is_written_in_place),
		T(twenty_generations),
		T(a_chain_is_merged_at_its_limit),
		T(what_is_stored_is_what_it_holds),
		T(a_file_that_comes_back_is_empty_and_used_again),
		T(a_private_layer_goes_home_unless_it_was_handed_down),
		T(a_layer_that_was_handed_down_is_not_used_again),
	};
#undef T
	return cmocka_run_group_tests_name("disk_base", tests, place_setup, place_teardown);
}
