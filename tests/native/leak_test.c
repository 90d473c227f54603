/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred machines in one process leave nothing behind: no descriptor, no thread, no memory, no
 * file. */
#include <unistd.h>

#include "support/held.h"
#include "support/place.h"
#include "support/tguest.h"

enum { ROUNDS = 100, WARM = 3 };

static struct spore_config config(struct spore_disk *disk)
{
	struct spore_config c = guest_config();

	*disk = (struct spore_disk){ .path = "disk.img", .mode = SPORE_DISK_COW };
	c.cpus = 2;
	c.memory = 16 << 20;
	c.disks = disk;
	c.n_disks = 1;
	return c;
}

typedef void life(int round);

static void check_left(life *one)
{
	struct held before = { 0 };

	for (int i = 0; i < WARM + ROUNDS; i++) {
		one(i);
		if (i == WARM - 1)
			before = held_now();
	}
	held_no_more_than(&before, 0);
	assert_int_equal(place_files(), 2);
}

static void boot_one(int round)
{
	struct spore_disk disk;
	struct spore_config c = config(&disk);
	struct guest *g = guest_boot(&c);

	guest_ask(g, "blk 0 load 20");
	if (round % 2)
		guest_tell(g, "off");
	guest_free(g);
}

static void freeze_one(int round)
{
	static struct guest *g;
	struct spore_disk disk;
	struct spore_config c = config(&disk);

	if (round == 0)
		g = guest_boot(&c);
	guest_freeze(g, "leak.spore");
	if (round == WARM + ROUNDS - 1)
		guest_ask(g, "echo alive");
}

static void restore_one(int round)
{
	struct guest *g = round % 3 ? guest_restore("leak.spore", NULL)
				    : guest_restore_paused("leak.spore", NULL);

	if (round % 3)
		guest_ask(g, "echo alive");
	guest_free(g);
}

/* Refused after most of it was built: the disk comes late. */
static void refuse_one(int round)
{
	struct spore_disk disk;
	struct spore_config c = config(&disk);
	struct guest *g = guest_new();

	disk.path = round % 2 ? "missing.img" : "/dev/null";
	assert_int_not_equal(spore_machine_boot(guest_machine(g), &c, NULL), SPORE_OK);
	guest_free(g);
}

static void refuse_restore_one(int round)
{
	struct spore_restore_disk disk = { .index = (uint32_t)round % 2, .path = "/dev/null" };
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct guest *g = guest_new();

	o.disks = &disk;
	o.n_disks = 1;
	assert_int_not_equal(spore_machine_restore(guest_machine(g), "leak.spore", &o, NULL), SPORE_OK);
	guest_free(g);
}

static void boots(void **state)
{
	(void)state;
	place_make_disk("disk.img", 1 << 20, 1, 0);
	place_make_disk("leak.spore", 4096, 1, 0);
	check_left(boot_one);
}

static void freezes(void **state)
{
	(void)state;
	check_left(freeze_one);
}

static void restores(void **state)
{
	(void)state;
	check_left(restore_one);
}

static void refusals(void **state)
{
	(void)state;
	check_left(refuse_one);
	check_left(refuse_restore_one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boots),
		cmocka_unit_test(freezes),
		cmocka_unit_test(restores),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests_name("leak", tests, place_setup, place_teardown);
}
