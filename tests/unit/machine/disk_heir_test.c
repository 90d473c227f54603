/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are lent to a process and come back from there as others: what that process can do to those
 * of others. It is played here by hand, with the descriptors that it would have. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "machine/disk/disk.h"
#include "support/place.h"
#include "support/test.h"

enum { SIZE = 20 * 65536, AT = 3 * 65536, LEN = 65536 };

static void must(err_t e, const struct diag *d)
{
	if (failed(e))
		fail_msg("%s (%s)", d->text, err_name(e.code));
}

static struct disk_base *base_of(const char *path, enum disk_mode mode)
{
	struct disk_base *b = NULL;
	struct diag d = DIAG_INIT;

	place_make_disk(path, SIZE, 1, 0);
	must(disk_base_open(path, mode, BYTES(SIZE), &d, &b), &d);
	return b;
}

static struct disk *over(const struct disk_base *b)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;
	owned_fd layer = FD_NONE;

	must(layer_file_new(".", BYTES(SIZE), &d, &layer), &d);
	must(disk_over(b, &layer, &d, &k), &d);
	return k;
}

static void put(struct disk *k, uint64_t at, uint8_t value)
{
	static uint8_t bytes[LEN];
	struct iovec iov = { bytes, LEN };

	memset(bytes, value, LEN);
	assert_int_equal(disk_write(k, FOFF(at), &iov, 1).code, ERR_NONE);
}

static void expect(const struct disk_base *b, uint64_t at, uint8_t value)
{
	uint8_t sector[512];
	struct iovec iov = { sector, sizeof sector };
	struct disk *k = over(b);

	assert_int_equal(disk_read(k, FOFF(at), &iov, 1).code, ERR_NONE);
	disk_free(k);
	assert_int_equal(sector[0], value);
}

/* Its next branch: *k goes on over what is returned. */
static struct disk_base *branched(struct disk *k)
{
	struct disk_base *b = NULL;
	struct diag d = DIAG_INIT;
	struct disk *next;

	must(disk_share(k, &d, &b), &d);
	next = over(b);
	disk_hand_down(k, b);
	disk_go_on(k, b, next);
	return b;
}

/* The same in another process; `lent`: as it is given to one that is not trusted. */
static struct disk_base *sent(const struct disk_base *b, bool lent)
{
	fd_t fds[1 + PARCEL_LAYERS_MAX];
	struct disk_base *there = NULL;
	struct disk_files files;
	struct parcel_disk p;
	struct diag d = DIAG_INIT;
	uint8_t *maps = NULL;

	must(disk_base_pack(b, &p, &maps, &files), &d);
	assert_int_equal(files.n, disk_base_files(b));
	if (lent)
		must(disk_base_lend(b, &d, fds), &d);
	else
		for (uint32_t i = 0; i < files.n; i++)
			fds[i] = (fd_t){ fcntl(files.fd[i], F_DUPFD_CLOEXEC, 0) };
	must(disk_base_unpack(&p, fds, &d, &there), &d);
	if (lent)
		disk_base_is_lent(there);
	free(maps);
	return there;
}

/* Its descriptors, borrowed. */
static struct disk_files files_of(const struct disk_base *b)
{
	struct parcel_disk p;
	struct disk_files files;
	uint8_t *maps = NULL;

	assert_int_equal(disk_base_pack(b, &p, &maps, &files).code, ERR_NONE);
	free(maps);
	return files;
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* ---- what is lent ---- */

static void lent_files_are_only_read(void **state)
{
	struct disk_base *b = base_of("d", DISK_COW), *layered, *there;
	struct disk *k = over(b);
	struct disk_files own, lent;

	(void)state;
	put(k, AT, 7);
	layered = branched(k);
	there = sent(layered, true);
	own = files_of(layered);
	lent = files_of(there);
	assert_int_equal(lent.n, 2);
	for (uint32_t i = 0; i < lent.n; i++) {
		assert_int_equal(inode(lent.fd[i]), inode(own.fd[i]));
		assert_int_equal(fcntl(lent.fd[i], F_GETFL) & O_ACCMODE, O_RDONLY);
		assert_int_equal(pwrite(lent.fd[i], "x", 1, 0), -1);
		assert_int_equal(errno, EBADF);
	}
	expect(there, AT, 7);
	disk_base_free(there);
	disk_base_free(layered);
	disk_base_free(b);
	disk_free(k);
}

static void a_disk_that_is_written_in_place_is_lent_for_that(void **state)
{
	struct disk_base *b = base_of("d", DISK_RW), *there = sent(b, true);
	struct disk *k = over(there);

	(void)state;
	put(k, AT, 9);
	disk_free(k);
	disk_base_free(there);
	k = over(b);
	disk_base_free(b);
	b = branched(k);
	expect(b, AT, 9);
	disk_base_free(b);
	disk_free(k);
}

static void a_lock_is_not_lent(void **state)
{
	static const enum disk_mode modes[] = { DISK_RO, DISK_RW, DISK_COW };
	struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)state;
	for (size_t i = 0; i < countof(modes); i++) {
		struct disk_base *b = base_of("d", modes[i]), *there = sent(b, true);
		struct disk *k = NULL;

		assert_int_equal(fcntl(files_of(there).fd[0], F_OFD_SETLK, &none), 0);
		disk_base_free(there);
		assert_int_equal(disk_open("d", DISK_RW, ".", NULL, &k).code, ERR_LOCKED);
		disk_base_free(b);
	}
}

/* ---- what comes back ---- */

/* A machine in that process: its disk, and the base that it was given. */
struct elsewhere {
	struct disk_base *given, *lent;
	struct disk *disk;
	struct disk_copies *copies;
};

static struct elsewhere spawned(enum disk_mode mode)
{
	struct disk_base *b = base_of("d", mode);
	struct elsewhere w = { .given = b };

	if (mode == DISK_COW) {
		struct disk *k = over(b);

		put(k, 0, 1);
		w.given = branched(k);
		disk_free(k);
		disk_base_free(b);
	}
	w.lent = sent(w.given, true);
	w.disk = over(w.lent);
	return w;
}

static void ended(struct elsewhere *w)
{
	disk_free(w->disk);
	disk_base_free(w->lent);
	disk_base_free(w->given);
	disk_copies_free(w->copies);
}

/* Its next branch as it is here, and as that process has it still. */
static struct disk_base *heir_of(struct elsewhere *w, bool goes_on, struct disk_base **ret_there)
{
	struct disk_base *there = branched(w->disk), *here = sent(there, false);
	struct diag d = DIAG_INIT;

	must(disk_base_inherit(here, w->given, goes_on ? &w->copies : NULL, &d), &d);
	if (ret_there != NULL)
		*ret_there = there;
	else
		disk_base_free(there);
	return here;
}

static void what_goes_on_cannot_write_what_others_got(void **state)
{
	struct elsewhere w = spawned(DISK_COW);
	struct disk_base *first, *second;
	struct disk_files own, one, two;

	(void)state;
	put(w.disk, AT, 7);
	first = heir_of(&w, true, NULL);
	put(w.disk, AT + LEN, 8);
	second = heir_of(&w, true, NULL);
	put(w.disk, AT, 9);
	own = files_of(w.given);
	one = files_of(first);
	two = files_of(second);
	assert_int_equal(one.n, 3);
	assert_int_equal(two.n, 4);
	/* What it was given is shared, and what it wrote is copied once. */
	assert_int_equal(inode(one.fd[1]), inode(own.fd[1]));
	assert_int_equal(inode(two.fd[1]), inode(own.fd[1]));
	assert_int_equal(inode(one.fd[2]), inode(two.fd[2]));
	expect(first, 0, 1);
	expect(first, AT, 7);
	expect(second, AT, 7);
	expect(second, AT + LEN, 8);
	disk_base_free(first);
	disk_base_free(second);
	ended(&w);
}

/* Through the descriptors of the layer that it has handed down, as no disk does. */
static void not_even_if_it_tries(void **state)
{
	struct elsewhere w = spawned(DISK_COW);
	struct disk_base *there, *here;

	(void)state;
	put(w.disk, AT, 7);
	here = heir_of(&w, true, &there);
	assert_int_equal(pwrite(files_of(there).fd[2], "evil", 4, AT), 4);
	expect(there, AT, 'e');
	expect(here, AT, 7);
	disk_base_free(there);
	disk_base_free(here);
	ended(&w);
}

static void what_ends_needs_no_copies(void **state)
{
	struct elsewhere w = spawned(DISK_COW);
	struct disk_base *there, *here;

	(void)state;
	put(w.disk, AT, 7);
	here = heir_of(&w, false, &there);
	assert_int_equal(inode(files_of(here).fd[2]), inode(files_of(there).fd[2]));
	expect(here, AT, 7);
	disk_base_free(there);
	disk_base_free(here);
	ended(&w);
}

/* More branches than a disk has layers: merged over there, and copied as what they became. */
static void merged_layers_are_copied_again(void **state)
{
	struct elsewhere w = spawned(DISK_COW);

	(void)state;
	for (uint8_t i = 1; i < 15; i++) {
		struct disk_base *there, *here;
		struct diag d = DIAG_INIT;

		put(w.disk, (uint64_t)i * LEN, i);
		there = branched(w.disk);
		must(disk_base_settle(there, NULL, &d), &d);
		disk_adopt(w.disk, there);
		here = sent(there, false);
		must(disk_base_inherit(here, w.given, &w.copies, &d), &d);
		must(disk_base_settle(here, NULL, &d), &d);
		for (uint8_t n = 0; n <= i; n++)
			expect(here, (uint64_t)n * LEN, n == 0 ? 1 : n);
		disk_base_free(there);
		disk_base_free(here);
	}
	ended(&w);
}

static void what_was_written_in_place_is_a_base_now(void **state)
{
	struct elsewhere w = spawned(DISK_RW);
	struct disk *k = NULL;
	struct disk_base *b;

	(void)state;
	put(w.disk, AT, 7);
	b = heir_of(&w, false, NULL);
	assert_int_equal(disk_base_mode(b), DISK_COW);
	expect(b, AT, 7);
	assert_int_equal(disk_open("d", DISK_RW, ".", NULL, &k).code, ERR_LOCKED);
	assert_int_equal(disk_open("d", DISK_RO, ".", NULL, &k).code, ERR_NONE);
	disk_free(k);
	disk_base_free(b);
	ended(&w);
}

static void refused(struct disk_base *is, const struct disk_base *was, const char *words)
{
	struct diag d = DIAG_INIT;

	assert_int_equal(disk_base_inherit(is, was, NULL, &d).code, ERR_DEVICE);
	if (strstr(d.text, words) == NULL)
		fail_msg("\"%s\"", d.text);
	disk_base_free(is);
}

static void another_disk_is_refused(void **state)
{
	struct disk_base *cow = base_of("d", DISK_COW), *ro = base_of("r", DISK_RO);

	(void)state;
	refused(base_of("e", DISK_COW), cow, "lies over another file than it was given");
	refused(base_of("r", DISK_RO), cow, "is another disk than it was given");
	refused(base_of("d", DISK_COW), ro, "is another disk than it was given");
	disk_base_free(cow);
	disk_base_free(ro);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lent_files_are_only_read, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_is_written_in_place_is_lent_for_that, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(a_lock_is_not_lent, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(what_goes_on_cannot_write_what_others_got, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(not_even_if_it_tries, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(what_ends_needs_no_copies, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(merged_layers_are_copied_again, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(what_was_written_in_place_is_a_base_now, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(another_disk_is_refused, place_setup, place_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
