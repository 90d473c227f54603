/* SPDX-License-Identifier: Apache-2.0 */
/* Disks under load across a freeze, and the entropy device. The guest's load verifies every byte
 * and knows at any moment what the disk must hold; a request lost or done to the wrong place shows
 * at once, or when it is asked to verify. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

enum { DISK = 4 << 20 };

static struct guest *boot_disk(enum spore_disk_mode mode)
{
	struct spore_disk disk = { .path = "disk.img", .mode = mode };
	struct spore_config c = guest_config();

	place_make_disk("disk.img", DISK, 99, DISK);
	c.memory = 32 << 20;
	c.disks = &disk;
	c.n_disks = 1;
	return guest_boot(&c);
}

static uint16_t frozen_u16(const char *path, const json_t *s, uint64_t gpa)
{
	off_t at = (off_t)(state_number(state_row(s, "ram"), "offset") + gpa);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint16_t v = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &v, sizeof v, at), sizeof v);
	close(fd);
	return v;
}

/* Requests that the driver has offered and the device has not taken: a restore has to find them. */
static bool has_requests_waiting(const json_t *s, void *ctx)
{
	uint64_t ring;

	if (!json_is_true(state_at(s, "device/0/queues/0/ready")))
		return false;
	ring = state_number(s, "device/0/queues/0/driver");
	return frozen_u16(ctx, s, ring + 2) != state_number(s, "device/0/queues/0/next_avail");
}

static bool is_loaded(const json_t *s, void *ctx)
{
	(void)ctx;
	return json_is_true(state_at(s, "device/0/queues/0/ready")) &&
	       state_number(s, "device/0/queues/0/next_avail") > 200;
}

static void load_ends_well(struct guest *g)
{
	guest_tell(g, "%s", "");
	assert_true(answer_number(guest_answer(g), "requests") > 0);
	guest_ask(g, "blk 0 verify");
	guest_ask(g, "blk 0 load 200");
	guest_ask(g, "blk 0 verify");
}

static void read_only_under_load(void **state)
{
	struct guest *g = boot_disk(SPORE_DISK_RO), *copy;
	char file[] = "ro.spore";

	(void)state;
	guest_tell(g, "blk 0 load 0");
	guest_freeze_at(g, file, has_requests_waiting, file);
	copy = guest_restore(file, g);
	guest_resume(g);
	load_ends_well(copy);
	load_ends_well(g);
	guest_free(copy);
	guest_free(g);
	assert_int_equal(place_files(), 2);
	place_clear();
}

/* The disk stays where it is: the machine that was frozen stops, and another takes it over. */
static void writable_in_place_under_load(void **state)
{
	struct guest *g = boot_disk(SPORE_DISK_RW), *next;
	char file[] = "rw.spore";

	(void)state;
	guest_tell(g, "blk 0 load 0");
	for (int i = 0; i < 5; i++) {
		guest_freeze_at(g, file, i % 2 ? is_loaded : has_requests_waiting, file);
		/* the lock goes with the machine */
		assert_int_equal(spore_machine_stop(guest_machine(g), NULL), SPORE_OK);
		next = guest_restore(file, g);
		guest_free(g);
		g = next;
	}
	load_ends_well(g);
	guest_free(g);
	assert_int_equal(place_files(), 2);
	place_clear();
}

/* A copy of the disk of the same instant: both go on, each with its own. */
static void writable_with_its_disk_under_load(void **state)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct guest *g = boot_disk(SPORE_DISK_RW), *copy;
	struct spore_error err;
	char file[] = "rwd.spore";

	(void)state;
	o.flags = SPORE_SNAPSHOT_DISKS;
	guest_tell(g, "blk 0 load 0");
	guest_freeze_at(g, file, has_requests_waiting, file);
	spore_must(spore_machine_snapshot(guest_machine(g), file, &o, &err), &err, "snapshot");
	guest_resume(g);
	copy = guest_restore(file, g);
	load_ends_well(g);
	load_ends_well(copy);
	/* the disk, the file, its stored disk */
	assert_int_equal(place_files(), 3);
	/* once more from the copy, which has a layer over the stored disk by now */
	guest_tell(copy, "blk 0 load 0");
	guest_freeze_at(copy, "again.spore", has_requests_waiting, (char[]){ "again.spore" });
	guest_free(g);
	g = guest_restore("again.spore", copy);
	guest_free(copy);
	load_ends_well(g);
	guest_free(g);
	place_clear();
}

/* Layers are stored with the file by themselves. */
static void copy_on_write_under_load(void **state)
{
	struct guest *g = boot_disk(SPORE_DISK_COW), *one, *two;
	char file[] = "cow.spore";

	(void)state;
	guest_tell(g, "blk 0 load 0");
	for (int i = 0; i < 5; i++) {
		guest_freeze_at(g, file, i % 2 ? is_loaded : has_requests_waiting, file);
		one = guest_restore(file, g);
		guest_resume(g);
		if (i == 2) { /* two of one file at once */
			two = guest_restore(file, g);
			load_ends_well(two);
			guest_free(two);
		}
		load_ends_well(g);
		guest_free(g);
		g = one;
	}
	load_ends_well(g);
	guest_free(g);
	/* the base was only read */
	g = boot_disk(SPORE_DISK_RO);
	guest_ask(g, "blk 0 check 0 %d 99", DISK / 512);
	guest_free(g);
	place_clear();
}

/* Other ways for a driver to wait: by looking, without event indexes, in small rings. */
static void every_way_of_waiting(void **state)
{
	static const char *const ways[] = { "irq=0 eventidx=0 size=64", "irq=0 eventidx=1 size=128",
					    "irq=1 eventidx=0 size=64 segs=5" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct guest *g = boot_disk(SPORE_DISK_COW), *copy;
		char file[] = "way.spore";

		guest_ask(g, "virtio opt %s", ways[i]);
		guest_tell(g, "blk 0 load 0 16");
		guest_freeze_at(g, file, is_loaded, file);
		copy = guest_restore(file, g);
		guest_resume(g);
		load_ends_well(copy);
		load_ends_well(g);
		guest_free(copy);
		guest_free(g);
	}
	place_clear();
}

static void entropy(void **state)
{
	struct guest *g = boot_disk(SPORE_DISK_RO), *one, *two;
	uint64_t a, b, c;

	(void)state;
	guest_ask(g, "rng 1 64");
	guest_freeze(g, "rng.spore");
	one = guest_restore("rng.spore", NULL);
	two = guest_restore("rng.spore", NULL);
	a = answer_number(guest_ask(g, "rng 1 64"), "hash");
	b = answer_number(guest_ask(one, "rng 1 64"), "hash");
	c = answer_number(guest_ask(two, "rng 1 64"), "hash");
	assert_true(a != b && b != c && a != c);
	guest_free(one);
	guest_free(two);
	guest_free(g);
	place_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_only_under_load),
		cmocka_unit_test(writable_in_place_under_load),
		cmocka_unit_test(writable_with_its_disk_under_load),
		cmocka_unit_test(copy_on_write_under_load),
		cmocka_unit_test(every_way_of_waiting),
		cmocka_unit_test(entropy),
	};

	return cmocka_run_group_tests_name("device", tests, place_setup, place_teardown);
}
