/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that die, whatever of, at whatever step of their lives: it is said of what, and nothing of
 * them is left. And supervisors that die. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/place.h"
#include "support/puppet.h"
#include "support/worked.h"

enum { MOMENTS = 24, MOMENT_US = 60, CYCLES = 200, WARM = 20, DISK = 1 << 20, WORKERS = 3 };

#define BY_KILL "its worker was killed by signal 9 (SIGKILL)"
#define BY_FAULT "its worker was killed by signal 11 (SIGSEGV)"
#define BY_FILTER "its worker was killed for a system call that it may not make (SIGSYS)"

static const struct identity as_it_is;

static struct zygote *zygote_here(void)
{
	struct request r = kin_request_disk(DISK_COW);

	place_make_disk("disk.img", DISK, 9, DISK);
	return kin_freeze(kin_boot(&r));
}

struct left { int fds, children; };

static struct left left_now(void)
{
	return (struct left){ entries_of("/proc/self/fd"), children_now() };
}

static void nothing_more_than(struct left before)
{
	struct left after = left_now();

	/* A layer that a zygote has is not kept for the next. */
	assert_true(after.fds <= before.fds);
	assert_int_equal(after.children, before.children);
	assert_true(waitpid(-1, NULL, WNOHANG) <= 0); /* the nursery is there */
}

/* ---- of what ---- */

enum death { KILLED, FAULTED, FILTERED };

static const char *const death_text[] = {
	[KILLED] = BY_KILL, [FAULTED] = BY_FAULT, [FILTERED] = BY_FILTER,
};

static void die(const struct worked *w, enum death death)
{
	pid_t pid = worker_pid(worked_worker((struct worked *)(uintptr_t)w));

	switch (death) {
	case KILLED:
		assert_int_equal(kill(pid, SIGKILL), 0);
		return;
	case FAULTED:
		thread_sleeps(pid, "spore-worker");
		puppet_fault(pid);
		return;
	case FILTERED:
		thread_sleeps(pid, "spore-worker");
		puppet_call(pid, SYS_getppid);
		return;
	}
}

/* ---- when ---- */

/* The steps at which a worker waits to be asked. */
enum step { SHELL, PRIMED, SPAWNED, RUNNING, PAUSED, STEPS };

static struct worked *at_step(struct home *h, struct zygote *z, enum step step)
{
	struct worked *w = worked_start(h, step == SHELL ? NULL : z);

	worked_ready(w);
	if (step >= SPAWNED)
		worked_spawn(w, z, step != SPAWNED);
	if (step >= RUNNING)
		(void)worked_ask(w, "echo here");
	if (step == PAUSED)
		worked_pause(w);
	return w;
}

static void at_every_step(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct left before;

	(void)state;
	worked_free(worked_child(h, z)); /* what is made once, the packed zygote, is there */
	before = left_now();
	for (enum step step = SHELL; step < STEPS; step++) {
		for (enum death death = KILLED; death <= FILTERED; death++) {
			struct worked *w;
			struct diag d = DIAG_INIT;

			/* Its workers have no filters, and take faults themselves. */
			if (death != KILLED && sanitized())
				continue;
			w = at_step(h, z, step);
			assert_int_equal(children_now(), before.children + 1);
			die(w, death);
			assert_string_equal(worked_ends(w, VM_ERROR).text, death_text[death]);
			/* And so does whoever asks something of it then. */
			assert_true(failed(worker_pause(worked_worker(w), &d)));
			worked_free(w);
			nothing_more_than(before);
		}
	}
	home_free(h);
	zygote_free(z);
}

/* ---- in between ---- */

struct killer { pid_t pid; unsigned wait_us; };

static void *kill_later(void *arg)
{
	const struct killer *k = arg;

	(void)usleep(k->wait_us);
	(void)kill(k->pid, SIGKILL);
	return NULL;
}

static void start_and_spawn(struct worked *w, struct zygote *z)
{
	struct diag d = DIAG_INIT;

	ignore(worker_spawn(worked_worker(w), z, &as_it_is, true, &d));
}

static void pause_and_freeze(struct worked *w, struct zygote *z)
{
	struct diag d = DIAG_INIT;
	struct zygote *made = NULL;

	(void)z;
	if (!failed(worker_pause(worked_worker(w), &d)))
		ignore(worker_freeze(worked_worker(w), &d, &made));
	zygote_free(made);
}

/* Killed at a moment of its own each time, in the middle of what it was asked to do or just before or
 * after. What it was doing may have come to its end or not. */
static void while_busy(enum step from, void (*busy)(struct worked *w, struct zygote *z))
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct left before;

	worked_free(worked_child(h, z));
	before = left_now();
	for (unsigned i = 0; i < MOMENTS; i++) {
		struct worked *w = from == SHELL ? worked_start(h, z) : at_step(h, z, from);
		struct killer k = { worker_pid(worked_worker(w)),
				    (from == SHELL ? 10 : 1) * i * MOMENT_US };
		pthread_t thread;
		enum vm_outcome o;
		struct diag d = DIAG_INIT;

		assert_int_equal(pthread_create(&thread, NULL, kill_later, &k), 0);
		busy(w, z);
		assert_int_equal(pthread_join(thread, NULL), 0);
		o = worker_outcome(worked_worker(w), &d);
		if (o != VM_STOPPED) /* frozen, it had nothing left to do */
			assert_string_equal(worked_ends(w, VM_ERROR).text, BY_KILL);
		worked_free(w);
		nothing_more_than(before);
	}
	home_free(h);
	zygote_free(z);
}

static void while_it_is_made(void **state)
{
	(void)state;
	while_busy(SHELL, start_and_spawn);
}

static void while_it_spawns(void **state)
{
	(void)state;
	while_busy(PRIMED, start_and_spawn);
}

static void while_it_freezes(void **state)
{
	(void)state;
	while_busy(RUNNING, pause_and_freeze);
}

/* Never asked for anything, never waited for. */
static void before_it_is_ready(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct left before;

	(void)state;
	worked_free(worked_start(h, NULL)); /* what is kept for the next, its disk's layer, is there */
	before = left_now();
	for (int i = 0; i < 5; i++) {
		struct worked *w = worked_start(h, NULL);
		struct diag d = DIAG_INIT;

		die(w, KILLED);
		assert_int_equal(worker_ready(worked_worker(w), &d).code, ERR_REMOTE);
		assert_string_equal(d.text, BY_KILL);
		assert_int_equal(worker_outcome(worked_worker(w), &d), VM_ERROR);
		worked_free(w);
		worked_free(worked_start(h, NULL));
		nothing_more_than(before);
	}
	home_free(h);
	zygote_free(z);
}

/* ---- the supervisor's death ---- */

static _Noreturn void supervise(struct zygote *z, bool hang_up)
{
	static const enum step step[WORKERS] = { SHELL, PRIMED, RUNNING };
	struct home *h = home_new(zygote_image(z));

	/* An assert that fails leaves for the test's end, in this process as in the other. */
	(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
	for (int i = 0; i < WORKERS; i++) {
		struct worked *w = at_step(h, z, step[i]);

		if (hang_up)
			(void)close(worker_socket(worked_worker(w)));
	}
	for (int i = 0; i < WORKERS && hang_up; i++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			_exit(3);
	}
	if (hang_up)
		_exit(0);
	(void)raise(SIGKILL);
	_exit(4);
}

static void without_its_supervisor(bool hang_up)
{
	struct zygote *z = zygote_here();
	int status;
	pid_t pid;

	/* Those who lose their parent become ours. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		supervise(z, hang_up);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, hang_up ? 0 : SIGKILL);
	for (int i = 0; i < (hang_up ? 1 : WORKERS + 1); i++) { /* the nursery too */
		assert_true(wait(&status) > 0);
		assert_true(status == 0 || status == SIGKILL);
	}
	assert_int_equal(wait(&status), -1);
	zygote_free(z);
}

static void supervisor_hangs_up(void **state)
{
	(void)state;
	without_its_supervisor(true);
}

static void supervisor_is_killed(void **state)
{
	(void)state;
	without_its_supervisor(false);
}

/* ---- many ---- */

static void two_hundred(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct left before = { 0 };
	size_t heap = 0;

	(void)state;
	for (int i = 0; i < WARM + CYCLES; i++) {
		struct worked *w = worked_child(h, z);

		if (i % 3 == 0)
			die(w, KILLED);
		worked_free(w);
		if (i != WARM - 1)
			continue;
		before = left_now();
		heap = mallinfo2().uordblks;
	}
	nothing_more_than(before);
	assert_in_range(mallinfo2().uordblks, 0, heap + 4096);
	home_free(h);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_every_step),
		cmocka_unit_test(while_it_is_made),
		cmocka_unit_test(while_it_spawns),
		cmocka_unit_test(while_it_freezes),
		cmocka_unit_test(before_it_is_ready),
		cmocka_unit_test(supervisor_hangs_up),
		cmocka_unit_test(supervisor_is_killed),
		cmocka_unit_test(two_hundred),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
