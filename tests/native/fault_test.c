/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call and allocation that a snapshot, a restore and a boot make fails, one after the
 * other; and the process is killed before each one that changes a file. The library under test is
 * the one that is released: faults.c is loaded before the C library, and this program starts itself
 * again with it.
 *
 * Afterwards the file under the snapshot's name is whole, with its disks, and is restored; nothing
 * else is left; where the process lives, the machine goes on, and no descriptor and no thread is
 * lost. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "native/faults.h"
#include "support/held.h"
#include "support/place.h"
#include "support/tguest.h"

/* Where the guest keeps what a trial wrote: memory, and the start of each disk. */
enum { PROBE = 12 << 20, DISK = 1 << 20, DISKS = 2, STEPS_MAX = 5000,
       STEPS_MIN = 50 /* more where a sanitizer does not take the allocations for itself */ };

static void (*arm)(int n, enum fault_action action);
static struct fault_report (*disarm)(void);

/* ---- a machine and what is known of it ---- */

static struct spore_config config(void)
{
	static const struct spore_disk disks[DISKS] = {
		{ .path = "cow.img", .mode = SPORE_DISK_COW },
		{ .path = "rw.img", .mode = SPORE_DISK_RW },
	};
	struct spore_config c = guest_config();

	c.cpus = 2;
	c.memory = 16 << 20;
	c.disks = disks;
	c.n_disks = DISKS;
	return c;
}

static void mark(struct guest *g, unsigned seed)
{
	guest_ask(g, "fill %u %#x 4096", seed, PROBE);
	for (int i = 0; i < DISKS; i++)
		guest_ask(g, "blk %d write 0 8 %u", i, seed);
}

static void is_marked(struct guest *g, unsigned seed)
{
	guest_ask(g, "check %u %#x 4096", seed, PROBE);
	for (int i = 0; i < DISKS; i++)
		guest_ask(g, "blk %d check 0 8 %u", i, seed);
}

static unsigned mark_of(struct guest *g, unsigned newest)
{
	uint64_t word = answer_number(guest_ask(g, "peek %#x", PROBE), "value");

	for (unsigned s = newest + 1; s-- > 0;) {
		if (guest_pattern(s, PROBE) == word)
			return s;
	}
	fail_msg("memory holds no mark");
	return 0;
}

static struct guest *boot_marked(void)
{
	struct spore_config c = config();
	struct guest *g;

	place_make_disk("cow.img", DISK, 0, DISK);
	place_make_disk("rw.img", DISK, 0, DISK);
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	mark(g, 0);
	return g;
}

static int freeze(struct guest *g, const char *path, struct spore_error *err)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	char *warning = NULL;
	int r;

	o.flags = SPORE_SNAPSHOT_DISKS;
	o.ret_warning = &warning;
	r = spore_machine_snapshot(guest_machine(g), path, &o, err);
	if (r == SPORE_OK)
		spore_free(warning);
	return r;
}

/* ---- what is left ---- */

/* The file's own disks, and nothing else, lie beside it. Leftovers of a killed process are counted
 * and removed. */
static int leftovers(const char *path)
{
	json_t *s = frozen_state(path), *device;
	char own[DISKS * 2][256];
	struct dirent *e;
	int n_own = 0, left = 0;
	size_t i;
	DIR *d;

	json_array_foreach(json_object_get(s, "device"), i, device) {
		if (json_object_get(device, "disk") == NULL)
			continue;
		(void)snprintf(own[n_own++], 256, "%s",
			       json_string_value(state_at(device, "disk/path")));
		(void)snprintf(own[n_own++], 256, "%s",
			       json_string_value(state_at(device, "layer/path")));
	}
	json_decref(s);
	d = opendir(".");
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		bool known = strcmp(e->d_name, path) == 0 || e->d_type == DT_DIR ||
			     strcmp(e->d_name, "cow.img") == 0 || strcmp(e->d_name, "rw.img") == 0;

		for (int k = 0; k < n_own; k++)
			known = known || strcmp(e->d_name, own[k]) == 0;
		if (known)
			continue;
		left++;
		assert_int_equal(unlink(e->d_name), 0);
	}
	(void)closedir(d);
	return left;
}

/* The file is whole: it verifies, and what comes back has one mark in memory and on all disks. */
static unsigned restored_mark(const char *path, unsigned newest)
{
	struct spore_error err;
	struct guest *g;
	unsigned seed;

	spore_must(spore_verify(path, NULL, NULL, &err), &err, "verify");
	g = guest_restore(path, NULL);
	seed = mark_of(g, newest);
	is_marked(g, seed);
	guest_ask(g, "cpus check");
	guest_free(g);
	return seed;
}

/* ---- failures ---- */

/* What was not written, made durable or named may not be told as made. */
static bool must_be_told(const char *call)
{
	static const char *const calls[] = { "pwrite64", "pwritev64", "fsync", "fdatasync",
					     "ftruncate64", "linkat", "renameat", "renameat2" };

	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		if (strcmp(call, calls[i]) == 0)
			return true;
	}
	return false;
}

static void every_step_of_a_snapshot(void **state)
{
	struct guest *g = boot_marked();
	struct spore_error err;
	unsigned last = 0, n;
	int fds, threads;

	(void)state;
	guest_pause(g);
	spore_must(freeze(g, "a.spore", &err), &err, "snapshot");
	fds = entries_of("/proc/self/fd");
	threads = entries_of("/proc/self/task");
	for (n = 1; n < STEPS_MAX; n++) {
		struct fault_report r;
		unsigned seed;
		int got, left;

		guest_resume(g);
		mark(g, n);
		guest_pause(g);
		arm((int)n, FAULT_FAIL);
		got = freeze(g, "a.spore", &err);
		r = disarm();
		if (r.struck[0] == '\0') {
			spore_must(got, &err, "snapshot");
			break;
		}
		left = leftovers("a.spore");
		if (got != SPORE_OK && err.text[0] == '\0')
			fail_msg("step %u, %s: failed without a word", n, r.struck);
		if (got == SPORE_OK && must_be_told(r.struck))
			fail_msg("step %u, %s: passed over", n, r.struck);
		seed = restored_mark("a.spore", n);
		/* Old or new; told as made, it is the new one. */
		if (got == SPORE_OK ? seed != n : seed != n && seed != last)
			fail_msg("step %u, %s: %s, the file is of mark %u, the last of %u", n, r.struck,
				 spore_status_name(got), seed, last);
		last = seed;
		/* Once it is replaced, a failure may keep the old file's disks from being removed:
		 * the next snapshot does it. */
		if (left != 0 && seed != n)
			fail_msg("step %u, %s: files are left behind", n, r.struck);
		assert_int_equal(entries_of("/proc/self/fd"), fds);
		assert_int_equal(entries_of("/proc/self/task"), threads);
	}
	print_message("# %u steps of a snapshot failed, each once\n", n - 1);
	assert_in_range(n, STEPS_MIN, STEPS_MAX - 1);
	assert_int_equal(restored_mark("a.spore", n), n);
	guest_resume(g);
	is_marked(g, n);
	guest_ask(g, "cpus check");
	guest_free(g);
	assert_int_equal(leftovers("a.spore"), 0);
	place_clear();
}

typedef int attempt(struct guest *g, struct spore_error *err);

static int try_restore(struct guest *g, struct spore_error *err)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;

	o.flags = SPORE_RESTORE_RESUME;
	return spore_machine_restore(guest_machine(g), "b.spore", &o, err);
}

static int try_boot(struct guest *g, struct spore_error *err)
{
	struct spore_config c = config();

	return spore_machine_boot(guest_machine(g), &c, err);
}

/* Fails or works in spite of it; then nothing of it is left. */
static unsigned every_step_of(attempt *try, void (*look)(struct guest *g))
{
	int fds = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
	unsigned n;

	for (n = 1; n < STEPS_MAX; n++) {
		struct spore_error err = { .text = "" };
		struct guest *g = guest_new();
		struct fault_report r;
		enum spore_state s;
		int got;

		arm((int)n, FAULT_FAIL);
		got = try(g, &err);
		r = disarm();
		if (got == SPORE_OK) {
			look(g);
		} else if (r.struck[0] == '\0') {
			spore_must(got, &err, "without a failure");
		} else {
			if (err.text[0] == '\0')
				fail_msg("step %u, %s: failed without a word", n, r.struck);
			assert_int_equal(spore_machine_state(guest_machine(g), &s, NULL), SPORE_OK);
			assert_int_equal(s, SPORE_NOT_STARTED);
		}
		guest_free(g);
		if (entries_of("/proc/self/fd") != fds || entries_of("/proc/self/task") != threads)
			fail_msg("step %u, %s: descriptors or threads are left", n, r.struck);
		if (r.struck[0] == '\0')
			break;
	}
	return n;
}

static void look_restored(struct guest *g)
{
	is_marked(g, 0);
	guest_ask(g, "cpus check");
}

static void look_booted(struct guest *g)
{
	assert_non_null(strstr(guest_line(g), "ready"));
}

static void every_step_of_a_restore(void **state)
{
	struct guest *g = boot_marked();
	struct spore_error err;
	unsigned n;

	(void)state;
	guest_pause(g);
	spore_must(freeze(g, "b.spore", &err), &err, "snapshot");
	guest_free(g);
	n = every_step_of(try_restore, look_restored);
	print_message("# %u steps of a restore failed, each once\n", n - 1);
	assert_in_range(n, STEPS_MIN, STEPS_MAX - 1);
	assert_int_equal(leftovers("b.spore"), 0);
}

static void every_step_of_a_boot(void **state)
{
	unsigned n;

	(void)state;
	place_clear();
	place_make_disk("cow.img", DISK, 0, DISK);
	place_make_disk("rw.img", DISK, 0, DISK);
	n = every_step_of(try_boot, look_booted);
	print_message("# %u steps of a boot failed, each once\n", n - 1);
	assert_in_range(n, STEPS_MIN, STEPS_MAX - 1);
	assert_int_equal(place_files(), 2);
}

/* ---- killed ---- */

/* In a process of its own: from the file, a new mark, killed before the nth change to a file while
 * it freezes over the same file. Ends with 0 when there was no such change. */
static int be_killed(int n, unsigned seed)
{
	struct guest *g = guest_restore("c.spore", NULL);
	struct spore_error err;

	mark(g, seed);
	guest_pause(g);
	arm(n, FAULT_KILL);
	spore_must(freeze(g, "c.spore", &err), &err, "snapshot");
	(void)disarm();
	guest_free(g);
	return 0;
}

static bool kill_at(unsigned n)
{
	char count[16];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)snprintf(count, sizeof count, "%u", n);
		(void)execl("/proc/self/exe", "fault_test", "be-killed", count, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

static void killed_at_every_change(void **state)
{
	struct guest *g;
	struct spore_error err;
	unsigned last = 0, n;
	int left = 0;

	(void)state;
	place_clear();
	g = boot_marked();
	guest_pause(g);
	spore_must(freeze(g, "c.spore", &err), &err, "snapshot");
	guest_free(g);
	for (n = 1; n < STEPS_MAX && kill_at(n); n++) {
		unsigned seed;

		left += leftovers("c.spore");
		seed = restored_mark("c.spore", n);
		if (seed != n && seed != last)
			fail_msg("killed at change %u: the file is of mark %u, the last of %u", n,
				 seed, last);
		last = seed;
	}
	/* Names are given in a handful of calls at the end, and only a kill between them leaves any;
	 * where files cannot be without a name, every kill does. */
	print_message("# killed at %u changes; %d names were left in all\n", n - 1, left);
	assert_in_range(n, 10, STEPS_MAX - 1);
	assert_int_equal(restored_mark("c.spore", n), n);
	assert_int_equal(leftovers("c.spore"), 0);
}

/* ---- no room ---- */

static void fails_for_room(struct guest *g, int sys)
{
	struct spore_error err = { .text = "" };

	assert_int_not_equal(freeze(g, "d.spore", &err), SPORE_OK);
	if (err.sys != sys || strstr(err.text, "d.spore") == NULL)
		fail_msg("expected errno %d of d.spore: %s (%d)", sys, err.text, err.sys);
	assert_int_equal(restored_mark("d.spore", 1), 0);
	assert_int_equal(leftovers("d.spore"), 0);
	guest_resume(g);
	is_marked(g, 1);
	guest_pause(g);
}

static struct guest *ready_to_grow(void)
{
	struct guest *g = boot_marked();
	struct spore_error err;

	guest_pause(g);
	spore_must(freeze(g, "d.spore", &err), &err, "snapshot");
	guest_resume(g);
	mark(g, 1);
	guest_ask(g, "fill 5 8M 3M");
	guest_pause(g);
	return g;
}

static void a_limit_on_file_sizes(void **state)
{
	struct rlimit old, low;
	struct guest *g;

	(void)state;
	place_clear();
	g = ready_to_grow();
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = (struct rlimit){ 4 << 20, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	fails_for_room(g, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	guest_free(g);
}

/* A file system of its own, seen by this process alone. */
static int on_a_full_disk(void)
{
	struct guest *g;

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mkdir("small", 0700) != 0 || mount("small", "small", "tmpfs", 0, "size=6M") != 0 ||
	    chdir("small") != 0)
		return 77;
	g = ready_to_grow();
	fails_for_room(g, ENOSPC);
	guest_free(g);
	return 0;
}

static void a_full_disk(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	place_clear();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/proc/self/exe", "fault_test", "full-disk", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir("small");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no file system may be mounted here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* ---- this program again ---- */

static void load_faults(char **argv)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);

	arm = (void (*)(int, enum fault_action))dlsym(RTLD_DEFAULT, "fault_arm");
	disarm = (struct fault_report (*)(void))dlsym(RTLD_DEFAULT, "fault_disarm");
	if (arm != NULL && disarm != NULL)
		return;
	if (n > 0 && getenv("SPORE_TEST_FAULTS") == NULL) {
		path[n] = '\0';
		(void)strcpy(strrchr(path, '/'), "/native/libfaults.so");
		(void)setenv("LD_PRELOAD", path, 1);
		(void)setenv("SPORE_TEST_FAULTS", "loaded", 1);
		(void)execv("/proc/self/exe", argv);
	}
	(void)fprintf(stderr, "libfaults.so cannot be loaded\n");
	exit(1);
}

/* Outside of a test a failed expectation ends the process, which says so. */
static int as_child(int argc, char **argv)
{
	if (strcmp(argv[1], "be-killed") == 0 && argc == 3)
		return be_killed((int)strtol(argv[2], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10));
	return strcmp(argv[1], "full-disk") == 0 ? on_a_full_disk() : 127;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_of_a_snapshot),
		cmocka_unit_test(every_step_of_a_restore),
		cmocka_unit_test(every_step_of_a_boot),
		cmocka_unit_test(killed_at_every_change),
		cmocka_unit_test(a_limit_on_file_sizes),
		cmocka_unit_test(a_full_disk),
	};

	load_faults(argv);
	if (argc > 1)
		return as_child(argc, argv);
	return cmocka_run_group_tests_name("fault", tests, place_setup, place_teardown);
}
