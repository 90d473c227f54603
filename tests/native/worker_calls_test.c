/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that do everything that workers do. tests/suites/730-syscalls.py watches the system calls
 * of each of their threads meanwhile: what the filters allow, and nothing here has made happen, is
 * allowed for nothing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "life/zygote_parts.h"
#include "support/place.h"
#include "support/worked.h"

enum { DISK = 4 << 20, COW = 0, RO = 1, RW = 2 };

/* One disk over a base, one read-only, one that will be written in place; the entropy device. */
static struct zygote *freeze_here(uint32_t cpus)
{
	static const struct disk_request disks[] = {
		{ "cow.img", DISK_COW }, { "ro.img", DISK_RO }, { "rw.img", DISK_COW },
	};
	struct request r = kin_request();
	struct zygote *z;
	struct kin *k;

	r.cpus = cpus;
	r.n_disks = countof(disks);
	r.disks = disks;
	for (size_t i = 0; i < countof(disks); i++)
		place_make_disk(disks[i].path, DISK, i, DISK);
	k = kin_boot(&r);
	(void)kin_ask(k, "cpus start");
	(void)kin_ask(k, "fill 5 17M 4M");
	/* A spawn loads only what is not as a fresh processor has it. */
	(void)kin_ask(k, "all regs 20");
	(void)kin_ask(k, "all user 20");
	z = kin_freeze(k);
	return z;
}

/* The base that the zygote's third disk had gives way to the file itself. */
static void write_in_place(struct zygote *z)
{
	struct diag d = DIAG_INIT;

	disk_base_free(z->disks[RW]);
	z->disks[RW] = NULL;
	if (failed(disk_base_open("rw.img", DISK_RW, BYTES(DISK), &d, &z->disks[RW])))
		fail_msg("%s", d.text);
}

static void write_and_check(struct worked *w, int disk, int seed)
{
	(void)worked_ask(w, "blk %d write 8 64 %d", disk, seed);
	(void)worked_ask(w, "blk %d check 8 64 %d", disk, seed);
	(void)worked_ask(w, "blk %d zeroes 256 8", disk);
	(void)worked_ask(w, "blk %d discard 512 256", disk);
	(void)worked_ask(w, "blk %d flush", disk);
}

static void work(struct worked *w, int seed)
{
	(void)worked_ask(w, "nonce %d", seed);
	(void)worked_ask(w, "rng 3 64");
	(void)worked_ask(w, "check 5 17M 4M");
	(void)worked_ask(w, "blk %d check 8 64 %d", RO, RO);
	write_and_check(w, COW, seed);
	write_and_check(w, RW, seed);
	(void)worked_ask(w, "blk 0 load 64 8");
}

static void pause_and_go_on(struct worked *w)
{
	worked_pause(w);
	worked_resume(w);
	(void)worked_ask(w, "blk 0 verify");
	(void)worked_ask(w, "cpus check");
}

/* By the kernel, at a moment when all of its threads wait, and some of them in a call that goes on as
 * another. */
static void stop_and_continue(struct worked *w)
{
	pid_t pid = worker_pid(worked_worker(w));
	siginfo_t info;

	thread_sleeps(pid, "blk-2");
	thread_sleeps(pid, "blk-0");
	thread_sleeps(pid, "spore-worker");
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WCONTINUED), 0);
}

/* The first time what it lies on is not written again, the second time it is its own. */
static void branch_twice(struct home *h, struct worked *w)
{
	for (int i = 0; i < 2; i++) {
		struct diag d = DIAG_INIT;
		struct zygote *z;
		struct worked *child;
		uint64_t pause_ns;

		(void)worked_ask(w, "fill %d 21M 2M", 40 + i);
		if (failed(worker_branch(worked_worker(w), &d, &z, &pause_ns)))
			fail_msg("%s", d.text);
		(void)worked_ask(w, "fill 9 21M 2M");
		(void)worked_ask(w, "blk 0 load 64 8");
		child = worked_child(h, z);
		(void)worked_ask(child, "check %d 21M 2M", 40 + i);
		(void)worked_ask(child, "blk 0 verify");
		worked_free(child);
		zygote_free(z);
		(void)worked_ask(w, "check 9 21M 2M");
	}
}

static void three_generations(uint32_t cpus)
{
	struct zygote *z = freeze_here(cpus), *before;
	struct home *h = home_new(zygote_image(z));

	write_in_place(z);
	for (int generation = 1; generation <= 3; generation++) {
		/* Told late which zygote it is, and paused at first; or the other way round. */
		struct worked *w = worked_start(h, generation == 1 ? NULL : z);

		worked_spawn(w, z, generation != 1);
		if (generation == 1)
			worked_resume(w);
		work(w, generation);
		pause_and_go_on(w);
		if (generation == 2)
			stop_and_continue(w);
		branch_twice(h, w);
		(void)worked_ask(w, "rng 3 64");
		before = z;
		z = worked_freeze(w, true);
		zygote_free(before);
	}
	for (int last = 0; last < 2; last++) {
		struct worked *w = worked_child(h, z);

		(void)worked_ask(w, "blk 0 verify");
		worked_tell(w, last == 0 ? "off" : "crash");
		(void)worked_ends(w, last == 0 ? VM_POWEROFF : VM_CRASH);
		worked_free(w);
	}
	home_free(h);
	zygote_free(z);
}

static void test_one_processor(void **state)
{
	(void)state;
	three_generations(1);
}

static void test_two_processors(void **state)
{
	(void)state;
	three_generations(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_processors),
		cmocka_unit_test(test_one_processor),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
