/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes and files: made of a restored machine or of a snapshot file, which may change afterwards;
 * and the disks that children have or are given. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plan/image.h"
#include "support/kin.h"
#include "support/place.h"
#include "support/tguest.h"

enum { CHILDREN = 4, DISK = 4 << 20 };

static const struct identity as_it_is;

/* A file of a machine with memory, a disk that was written to, and a secret. */
static void make_file(const char *path)
{
	struct request r = kin_request_disk(DISK_COW);
	struct kin *k;

	place_make_disk("disk.img", DISK, 99, DISK);
	k = kin_boot(&r);
	(void)kin_ask(k, "fill 5 17M 4M");
	(void)kin_ask(k, "secret 4711");
	(void)kin_ask(k, "blk 0 write 100 300 8");
	kin_pause(k);
	kin_snapshot(k, path);
	kin_free(k);
}

static void as_it_was(struct kin *k)
{
	(void)kin_ask(k, "check 5 17M 4M");
	assert_true(answer_number(kin_ask(k, "nonce 7"), "answer") == guest_pattern(4711, 7));
	(void)kin_ask(k, "blk 0 check 100 300 8");
	(void)kin_ask(k, "blk 0 check 1000 200 99");
}

static void cut(const char *path, off_t len)
{
	assert_int_equal(truncate(path, len), 0);
}

static void overwrite(const char *path)
{
	static const uint8_t rubbish[65536] = { 1, 2, 3 };
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (off_t at = 0; at < (off_t)MIB(34); at += (off_t)sizeof rubbish)
		assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, at), sizeof rubbish);
	close(fd);
}

/* Children before and after something happens to the file; all of them answer. */
static void serves(struct zygote *z, const char *path, void (*harm)(const char *))
{
	struct kin *k[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		if (i == CHILDREN / 2)
			harm(path);
		k[i] = i % 2 ? kin_child_in_shell(z) : kin_child(z);
		(void)kin_ask(k[i], "touch 17M 64K 8192");
		(void)kin_ask(k[i], "fill 5 17M 64K");
	}
	for (int i = 0; i < CHILDREN; i++) {
		as_it_was(k[i]);
		kin_free(k[i]);
	}
	zygote_free(z);
}

static void cut_to_nothing(const char *path)
{
	cut(path, 0);
}

static void cut_in_the_middle(const char *path)
{
	cut(path, (off_t)MIB(20));
}

static void remove_it(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void (*const harms[])(const char *) = { cut_to_nothing, cut_in_the_middle, overwrite,
					       remove_it };

/* Untouched, and after it had written to some of what it read from the file. */
static void a_restored_machine_is_frozen(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct kin *k;

		make_file("r.spore");
		k = kin_restore("r.spore");
		if (i % 2 == 0) {
			kin_resume(k);
			(void)kin_ask(k, "touch 18M 1M");
			(void)kin_ask(k, "fill 5 18M 1M");
		}
		serves(kin_freeze(k), "r.spore", harms[i]);
	}
}

static void a_file_is_loaded(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		make_file("l.spore");
		serves(zygote_of_file("l.spore"), "l.spore", harms[i]);
	}
}

/* What is loaded is compared with its checksums; nothing is left of it. */
static void a_damaged_file_is_not_loaded(void **state)
{
	struct restore_options ro = { 0 };
	struct zygote *z = NULL;
	struct snapshot *s = NULL;
	struct diag d = DIAG_INIT;
	uint8_t byte = 0xA5;
	json_t *front;
	uint64_t at;
	int fd;

	(void)state;
	make_file("bad.spore");
	front = frozen_state("bad.spore");
	at = state_number(state_row(front, "ram"), "offset") + MIB(18) + 5;
	json_decref(front);
	fd = open("bad.spore", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
	assert_int_equal(snapshot_open("bad.spore", &d, &s).code, ERR_NONE);
	assert_int_equal(zygote_load(s, &ro, &d, &z).code, ERR_CHECKSUM);
	assert_null(z);
	assert_non_null(strstr(d.text, "bad.spore"));
	snapshot_free(s);
}

static void a_machine_whose_file_was_cut_is_not_frozen(void **state)
{
	struct zygote *z = NULL;
	struct diag d = DIAG_INIT;
	struct kin *k;
	vm_paused *vm;

	(void)state;
	make_file("c.spore");
	k = kin_restore("c.spore");
	cut("c.spore", (off_t)MIB(10));
	vm = kin_paused(k);
	assert_true(failed(vm_freeze(&vm, &d, &z)));
	assert_ptr_equal(vm, kin_paused(k));
	assert_null(z);
	assert_non_null(strstr(d.text, "the snapshot file behind the guest's RAM was"));
	kin_free(k);
}

/* A child is a machine like any other. */
static void a_child_is_saved_and_restored(void **state)
{
	struct zygote *z;
	struct kin *k;

	(void)state;
	make_file("s.spore");
	z = zygote_of_file("s.spore");
	k = kin_child(z);
	zygote_free(z);
	(void)kin_ask(k, "fill 6 24M 1M");
	(void)kin_ask(k, "blk 0 write 2000 100 9");
	kin_pause(k);
	kin_snapshot(k, "child.spore");
	kin_free(k);
	for (int i = 0; i < 2; i++) {
		k = kin_restore("child.spore");
		if (i == 1) {
			z = kin_freeze(k);
			k = kin_spawn(z, &as_it_is);
			zygote_free(z);
		}
		kin_resume(k);
		as_it_was(k);
		(void)kin_ask(k, "check 6 24M 1M");
		(void)kin_ask(k, "blk 0 check 2000 100 9");
		kin_free(k);
	}
}

/* ---- disks ---- */

static struct zygote *zygote_with_disk(enum disk_mode mode)
{
	struct request r = kin_request_disk(mode);
	struct kin *k;

	place_make_disk("disk.img", DISK, 99, DISK);
	k = kin_boot(&r);
	if (mode != DISK_RO)
		(void)kin_ask(k, "blk 0 write 100 300 8");
	return kin_freeze(k);
}

/* A disk that was written in place: its children write beside it. */
static void a_disk_in_place_becomes_a_base(void **state)
{
	struct zygote *z = zygote_with_disk(DISK_RW);
	struct kin *k[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		k[i] = i ? kin_child_in_shell(z) : kin_child(z);
		(void)kin_ask(k[i], "blk 0 check 100 300 8");
		(void)kin_ask(k[i], "blk 0 write 100 50 %d", 20 + i);
	}
	for (int i = 0; i < 2; i++) {
		(void)kin_ask(k[i], "blk 0 check 100 50 %d", 20 + i);
		(void)kin_ask(k[i], "blk 0 check 150 250 8");
		kin_free(k[i]);
	}
	zygote_free(z);
}

static void a_read_only_disk_is_shared(void **state)
{
	struct zygote *z = zygote_with_disk(DISK_RO);
	struct kin *a = kin_child(z), *b = kin_child_in_shell(z);

	(void)state;
	zygote_free(z);
	(void)kin_ask(a, "blk 0 check 0 1000 99");
	(void)kin_ask(b, "blk 0 check 0 1000 99");
	kin_free(a);
	kin_free(b);
}

static void children_are_given_disks(void **state)
{
	struct zygote *z = zygote_with_disk(DISK_COW);
	struct identity_disk disk = { 0, DISK_RW, "own.img" };
	struct identity id = { .n_disks = 1, .disks = &disk };
	struct diag d = DIAG_INIT;
	vm_paused *vm = NULL;
	struct kin *k, *other;

	(void)state;
	place_make_disk("own.img", DISK, 70, DISK);
	k = kin_spawn(z, &id);
	/* one machine at a time may write to it, and the second is told before it runs */
	assert_int_equal(vm_spawn(z, &id, &(struct vm_options){ 0 }, &d, &vm).code, ERR_LOCKED);
	assert_null(vm);
	assert_non_null(strstr(d.text, "own.img"));
	kin_resume(k);
	(void)kin_ask(k, "blk 0 check 0 1000 70");
	(void)kin_ask(k, "blk 0 write 10 10 71");
	(void)kin_ask(k, "blk 0 flush");
	kin_free(k);
	disk.mode = DISK_COW;
	k = kin_spawn(z, &id);
	other = kin_spawn(z, &id);
	kin_resume(k);
	kin_resume(other);
	(void)kin_ask(k, "blk 0 check 10 10 71");
	(void)kin_ask(k, "blk 0 write 10 10 72");
	(void)kin_ask(other, "blk 0 check 10 10 71");
	kin_free(k);
	kin_free(other);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restored_machine_is_frozen),
		cmocka_unit_test(a_file_is_loaded),
		cmocka_unit_test(a_damaged_file_is_not_loaded),
		cmocka_unit_test(a_machine_whose_file_was_cut_is_not_frozen),
		cmocka_unit_test(a_child_is_saved_and_restored),
		cmocka_unit_test(a_disk_in_place_becomes_a_base),
		cmocka_unit_test(a_read_only_disk_is_shared),
		cmocka_unit_test(children_are_given_disks),
	};

	return cmocka_run_group_tests_name("zygote_file", tests, place_setup, place_teardown);
}
