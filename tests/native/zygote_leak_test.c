/* SPDX-License-Identifier: Apache-2.0 */
/* Spawning leaves nothing: not when it fails, at whatever step, and not after a thousand children.
 * Counted are descriptors, threads, mappings, the heap and the memory that the process has. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine/disk/disk_parts.h"
#include "plan/ram_extents.h"
#include "support/held.h"
#include "support/kin.h"
#include "support/place.h"

enum { CYCLES = 1000, WARM = 50, FAILURES = 40, DISK = 1 << 20 };

static const struct vm_options nobody;

static struct zygote *zygote_with_disk(void)
{
	struct request r = kin_request_disk(DISK_COW);
	struct kin *k;

	place_make_disk("disk.img", DISK, 1, 0);
	place_make_disk("short.img", DISK / 2, 1, 0);
	r.cpus = 2;
	k = kin_boot(&r);
	(void)kin_ask(k, "cpus start");
	(void)kin_ask(k, "cpus idle");
	(void)kin_ask(k, "fill 1 20M 4M");
	(void)kin_ask(k, "blk 0 load 20");
	return kin_freeze(k);
}

/* ---- failures ---- */

struct failure { struct identity_disk disk; enum err_code code; const char *words; };

static const struct failure failures[] = {
	{ { 0, DISK_COW, "missing.img" }, ERR_FILE, "missing.img" },
	{ { 0, DISK_COW, "short.img" }, ERR_CHANGED, "short.img: holds 524288 bytes" },
	{ { 0, DISK_RW, "/dev/null" }, ERR_DISK, "/dev/null" },
	{ { 0, DISK_RO, "disk.img" }, ERR_USAGE, "disk 0 is writable for the guest" },
	{ { 1, DISK_COW, "disk.img" }, ERR_USAGE, "disk 1 was given another file" },
	{ { UINT32_MAX, DISK_COW, "disk.img" }, ERR_USAGE, "but the machine has 1 disks" },
};

static void fail_one(struct zygote *z, const struct failure *f, bool in_shell)
{
	struct identity id = { .n_disks = 1, .disks = &f->disk };
	struct diag d = DIAG_INIT;
	vm_paused *vm = NULL;
	vm_shell *shell = NULL;
	err_t e;

	if (in_shell) {
		shell = shell_like(z);
		e = vm_spawn_in(&shell, z, &id, &nobody, &d, &vm);
		vm_shell_free(shell); /* which is as it was */
	} else {
		e = vm_spawn(z, &id, &nobody, &d, &vm);
	}
	assert_int_equal(e.code, f->code);
	assert_null(vm);
	if (strstr(d.text, f->words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", d.text, f->words);
}

static void a_spawn_that_fails(void **state)
{
	struct zygote *z = zygote_with_disk();
	struct held before = { 0 };
	struct kin *k;

	(void)state;
	for (int i = 0; i < WARM + FAILURES; i++) {
		if (i == WARM)
			before = held_now();
		fail_one(z, &failures[i % 6], i / 6 % 2);
	}
	held_no_more_than(&before, 0);
	k = kin_child(z);
	(void)kin_ask(k, "check 1 20M 4M");
	kin_free(k);
	zygote_free(z);
	assert_int_equal(place_files(), 2);
}

/* ---- a thousand ---- */

static void cycle(struct zygote *z, int i)
{
	vm_shell *shell;
	struct kin *k;

	if (i % 16 == 7) { /* never used */
		vm_shell_free(shell_like(z));
		return;
	}
	if (i % 2) {
		shell = shell_like(z);
		k = kin_spawn_in(&shell, z, &(struct identity){ 0 });
	} else {
		k = kin_spawn(z, &(struct identity){ 0 });
	}
	if (i % 3 != 0)
		kin_resume(k);
	if (i % 3 == 1) {
		(void)kin_ask(k, "touch 20M 256K");
		(void)kin_ask(k, "blk 0 write 0 10 7");
	}
	kin_free(k);
}

static void a_thousand_children(void **state)
{
	struct held none = held_now(), before = { 0 };
	struct zygote *z = zygote_with_disk();

	(void)state;
	for (int i = 0; i < WARM + CYCLES; i++) {
		if (i == WARM)
			before = held_now();
		cycle(z, i);
	}
	held_no_more_than(&before, 0);
	zygote_free(z);
	assert_int_equal(held_now().fds, none.fds);
	assert_int_equal(held_now().threads, none.threads);
	assert_int_equal(place_files(), 2);
}

/* Each generation goes with the one above it, but for the few layers that are still read. */
static void generations(void **state)
{
	struct zygote *z = zygote_with_disk();
	struct held before = { 0 };

	(void)state;
	for (int i = 0; i < WARM + FAILURES; i++) {
		struct kin *k = kin_child(z);

		(void)kin_ask(k, "touch 20M 1M 16384");
		(void)kin_ask(k, "blk 0 write %d 10 7", i);
		zygote_free(z);
		z = kin_freeze(k);
		if (i == WARM)
			before = held_now();
	}
	held_no_more_than(&before, DISK_LAYERS_MAX + RAM_SOURCES_MAX);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spawn_that_fails),
		cmocka_unit_test(a_thousand_children),
		cmocka_unit_test(generations),
	};

	return cmocka_run_group_tests_name("zygote_leak", tests, place_setup, place_teardown);
}
