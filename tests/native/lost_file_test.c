/* SPDX-License-Identifier: Apache-2.0 */
/* The file that a restored machine's memory is read from is cut short or rewritten under it: that
 * machine ends and says why, and this process lives. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

#define BEHIND_RAM "the snapshot file behind the guest's RAM was "

enum { MACHINES = 10 };

/* A file of a machine with memory that no guest touches by itself, and a disk. */
static void make_file(const char *path)
{
	struct spore_disk disk = { .path = "disk.img", .mode = SPORE_DISK_RO };
	struct spore_config c = guest_config();
	struct guest *g;

	if (place_blocks("disk.img") < 0)
		place_make_disk("disk.img", 4 << 20, 99, 4 << 20);
	c.memory = 32 << 20;
	c.cpus = 2;
	c.disks = &disk;
	c.n_disks = 1;
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	guest_ask(g, "blk 0 load 10");
	guest_ask(g, "fill 1 16M 8M");
	guest_pause(g);
	guest_snapshot(g, path);
	guest_free(g);
}

static void cut(const char *path, off_t len)
{
	assert_int_equal(truncate(path, len), 0);
}

static void says_why(struct guest *g)
{
	struct spore_error why = guest_breaks(g);

	if (strstr(why.text, BEHIND_RAM) == NULL)
		fail_msg("it ended with: %s", why.text);
}

/* Whoever waits is told at once, touched or not. */
static void cut_under_a_running_machine(void **state)
{
	struct guest *g;

	(void)state;
	make_file("cut.spore");
	g = guest_restore("cut.spore", NULL);
	cut("cut.spore", 3 << 20);
	says_why(g);
	guest_free(g);
}

/* Nobody looks at the machine until the guest itself has met what is missing. */
static void met_by_the_guest(void **state)
{
	struct guest *g;

	(void)state;
	make_file("met.spore");
	for (int way = 0; way < 3; way++) {
		static const char *const meets[] = { "check 1 16M 8M", "touch 16M 8M",
						     "all check 1 16M 8M" };

		g = guest_restore("met.spore", NULL);
		/* the lost pages are read or written by the guest's own code, at length */
		for (int i = 0; i < 30; i++)
			guest_tell(g, "%s", meets[way]);
		(void)guest_said(g, 1, NULL);
		cut("met.spore", 20 << 20);
		(void)usleep(100000);
		says_why(g);
		guest_free(g);
		make_file("met.spore");
	}
}

/* The whole of RAM is gone, rings and buffers of a device at work among it. */
static void met_by_a_device(void **state)
{
	struct guest *g;

	(void)state;
	make_file("device.spore");
	for (int i = 0; i < 5; i++) {
		g = guest_restore("device.spore", NULL);
		guest_tell(g, "blk 0 load 0");
		if (i > 0)
			(void)usleep((useconds_t)(i * 2000));
		cut("device.spore", 4096);
		(void)usleep(50000);
		says_why(g);
		guest_free(g);
		make_file("device.spore");
	}
}

static void cut_under_a_paused_machine(void **state)
{
	struct guest *g;
	struct spore_error err = { .text = "" };
	enum spore_outcome o;

	(void)state;
	make_file("paused.spore");
	g = guest_restore_paused("paused.spore", NULL);
	cut("paused.spore", 3 << 20);
	assert_int_equal(spore_machine_snapshot(guest_machine(g), "x.spore", NULL, &err),
			 SPORE_ERR_STATE);
	assert_int_equal(place_blocks("x.spore"), -1);
	assert_int_equal(spore_machine_resume(guest_machine(g), &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_outcome(guest_machine(g), &o, &err, NULL), SPORE_OK);
	assert_int_equal(o, SPORE_OUTCOME_ERROR);
	assert_non_null(strstr(err.text, BEHIND_RAM));
	guest_free(g);
}

static void ten_machines_of_one_file(void **state)
{
	struct guest *g[MACHINES], *other;

	(void)state;
	make_file("ten.spore");
	make_file("other.spore");
	other = guest_restore("other.spore", NULL);
	for (int i = 0; i < MACHINES; i++) {
		g[i] = guest_restore("ten.spore", NULL);
		guest_ask(g[i], "echo here");
		guest_tell(g[i], i % 2 ? "all check 1 16M 8M" : "blk 0 load 0");
	}
	cut("ten.spore", 2 << 20);
	for (int i = 0; i < MACHINES; i++)
		says_why(g[i]);
	for (int i = 0; i < MACHINES; i++)
		guest_free(g[i]);
	/* one that has nothing to do with that file */
	guest_ask(other, "check 1 16M 8M");
	guest_free(other);
}

static void rewritten_under_a_running_machine(void **state)
{
	struct guest *g;
	int fd;

	(void)state;
	make_file("re.spore");
	g = guest_restore("re.spore", NULL);
	guest_ask(g, "echo here");
	fd = open("re.spore", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 20 << 20), 1);
	close(fd);
	says_why(g);
	guest_free(g);
}

static void rewrite_once(void *path, uint64_t done, uint64_t of)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)done;
	(void)of;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 3 << 20), 1);
	close(fd);
}

/* What was read of the file before may belong to another moment than what was read after. */
static void rewritten_under_a_snapshot(void **state)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_error err = { .text = "" };
	char path[] = "under.spore";
	struct guest *g;

	(void)state;
	make_file(path);
	g = guest_restore(path, NULL);
	guest_ask(g, "touch 16M 1M");
	guest_pause(g);
	o.progress = rewrite_once;
	o.ctx = path;
	assert_int_equal(spore_machine_snapshot(guest_machine(g), "x.spore", &o, &err),
			 SPORE_ERR_STATE);
	assert_int_equal(place_blocks("x.spore"), -1);
	guest_free(g);
}

/* After that block was judged, before the file is watched. */
static void rewritten_while_it_is_verified(void **state)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct spore_error err = { .text = "" };
	char path[] = "verified.spore";
	struct guest *g = guest_new();

	(void)state;
	make_file(path);
	o.flags = SPORE_RESTORE_VERIFY;
	o.progress = rewrite_once;
	o.ctx = path;
	assert_int_equal(spore_machine_restore(guest_machine(g), path, &o, &err),
			 SPORE_ERR_CHANGED);
	guest_free(g);
}

/* The guest writes to a console that nobody reads, and its vCPU waits there: that must not hold up
 * whoever looks whether the machine has ended. */
static void rewritten_while_the_console_is_full(void **state)
{
	struct spore_machine_options mo = SPORE_MACHINE_OPTIONS_INIT;
	struct spore_restore_options ro = SPORE_RESTORE_OPTIONS_INIT;
	struct spore_error err = { .text = "" }, why = { .text = "" };
	enum spore_outcome o = SPORE_OUTCOME_NONE;
	struct pollfd full = { .events = POLLOUT };
	spore_machine *m;
	int ends[2], fd;
	size_t taken;

	(void)state;
	make_file("full.spore");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
	mo.console_fd = full.fd = ends[1];
	spore_must(spore_machine_new(&mo, &m, &err), &err, "new");
	ro.flags = SPORE_RESTORE_RESUME;
	spore_must(spore_machine_restore(m, "full.spore", &ro, &err), &err, "restore");
	spore_must(spore_machine_input(m, "help\n", 5, &taken, &err), &err, "input");
	while (poll(&full, 1, 0) == 1)
		(void)usleep(1000);
	fd = open("full.spore", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 40 << 20), 1);
	close(fd);
	spore_must(spore_machine_wait(m, -1, &o, &why, &err), &err, "wait");
	assert_int_equal(o, SPORE_OUTCOME_ERROR);
	assert_non_null(strstr(why.text, BEHIND_RAM));
	spore_machine_free(m);
	close(ends[0]);
	close(ends[1]);
}

/* Another file of the same name, or none, is no change: the machine has the old one open. */
static void replaced_and_removed_by_name(void **state)
{
	struct guest *g;

	(void)state;
	make_file("name.spore");
	g = guest_restore("name.spore", NULL);
	make_file("other.spore");
	assert_int_equal(rename("other.spore", "name.spore"), 0);
	guest_ask(g, "check 1 16M 4M");
	assert_int_equal(unlink("name.spore"), 0);
	guest_ask(g, "check 1 20M 4M");
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_under_a_running_machine),
		cmocka_unit_test(met_by_the_guest),
		cmocka_unit_test(met_by_a_device),
		cmocka_unit_test(cut_under_a_paused_machine),
		cmocka_unit_test(ten_machines_of_one_file),
		cmocka_unit_test(rewritten_under_a_running_machine),
		cmocka_unit_test(rewritten_under_a_snapshot),
		cmocka_unit_test(rewritten_while_it_is_verified),
		cmocka_unit_test(rewritten_while_the_console_is_full),
		cmocka_unit_test(replaced_and_removed_by_name),
	};

	return cmocka_run_group_tests_name("lost_file", tests, place_setup, place_teardown);
}
