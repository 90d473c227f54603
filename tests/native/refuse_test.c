/* SPDX-License-Identifier: Apache-2.0 */
/* Restores that must be refused: each with its code, a sentence that names the thing, and nothing
 * left behind; the same handle then restores what is right. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"
#include "wire/sections.h"
#include "wire/snap_head.h"
#include "wire/snap_table.h"

enum { DISK = 1 << 20, FEATURE_LEAF = 7 };

static struct guest *boot_disk(enum spore_disk_mode mode)
{
	struct spore_disk disk = { .path = "disk.img", .mode = mode };
	struct spore_config c = guest_config();

	place_make_disk("disk.img", DISK, 99, DISK);
	c.memory = 16 << 20;
	c.disks = &disk;
	c.n_disks = 1;
	return guest_boot(&c);
}

static void freeze_and_free(struct guest *g, const char *path)
{
	guest_pause(g);
	guest_snapshot(g, path);
	guest_free(g);
}

static int restore_with(struct guest *g, const char *path, const struct spore_restore_disk *disk,
			uint32_t flags, struct spore_error *err)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;

	o.flags = flags;
	o.disks = disk;
	o.n_disks = disk != NULL;
	return spore_machine_restore(guest_machine(g), path, &o, err);
}

static void refused(struct guest *g, const char *path, const struct spore_restore_disk *disk,
		    int code, const char *word)
{
	struct spore_error err = { .code = 0 };
	enum spore_state s;
	int got = restore_with(g, path, disk, 0, &err);

	if (got != code || err.code != code || strstr(err.text, word) == NULL)
		fail_msg("%s, expected %s with \"%s\": %s", spore_status_name(got),
			 spore_status_name(code), word, err.text);
	assert_int_equal(spore_machine_state(guest_machine(g), &s, NULL), SPORE_OK);
	assert_int_equal(s, SPORE_NOT_STARTED);
}

static void accepted(struct guest *g, const char *path, const struct spore_restore_disk *disk)
{
	struct spore_error err;

	spore_must(restore_with(g, path, disk, SPORE_RESTORE_RESUME, &err), &err, "restore");
	guest_ask(g, "blk 0 check 0 100 99");
	guest_free(g);
}

static void write_at(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void a_disk_that_changed(void **state)
{
	static const enum spore_disk_mode modes[] = { SPORE_DISK_RO, SPORE_DISK_RW, SPORE_DISK_COW };
	struct guest *g;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		freeze_and_free(boot_disk(modes[i]), "a.spore");
		g = guest_new();
		write_at("disk.img", DISK - 1, "x", 1);
		refused(g, "a.spore", NULL, SPORE_ERR_CHANGED, "disk.img");
		assert_int_equal(truncate("disk.img", DISK / 2), 0);
		refused(g, "a.spore", NULL, SPORE_ERR_CHANGED, "disk.img");
		assert_int_equal(unlink("disk.img"), 0);
		refused(g, "a.spore", NULL, SPORE_ERR_FILE, "disk.img");
		place_make_disk("disk.img", DISK, 99, DISK); /* the same bytes in another file */
		refused(g, "a.spore", NULL, SPORE_ERR_CHANGED, "disk.img");
		accepted(g, "a.spore", &(struct spore_restore_disk){ .path = "disk.img" });
	}
}

static void another_file_as_the_disk(void **state)
{
	struct spore_restore_disk other = { .path = "other.img" };
	struct guest *g = guest_new();

	(void)state;
	freeze_and_free(boot_disk(SPORE_DISK_RW), "b.spore");
	refused(g, "b.spore", &other, SPORE_ERR_FILE, "other.img");
	place_make_disk("other.img", DISK * 2, 99, DISK);
	refused(g, "b.spore", &other, SPORE_ERR_CHANGED, "other.img");
	other.path = "/dev/null";
	refused(g, "b.spore", &other, SPORE_ERR_DISK, "/dev/null");
	other.index = 1;
	refused(g, "b.spore", &other, SPORE_ERR_USAGE, "disk 1");
	other = (struct spore_restore_disk){ .path = "other.img" };
	place_make_disk("other.img", DISK, 99, DISK);
	accepted(g, "b.spore", &other);
}

static void a_disk_in_use(void **state)
{
	struct guest *source = boot_disk(SPORE_DISK_RW), *g = guest_new();

	(void)state;
	guest_freeze(source, "c.spore");
	refused(g, "c.spore", NULL, SPORE_ERR_LOCKED, "disk.img");
	guest_ask(source, "echo alive");
	guest_free(source);
	accepted(g, "c.spore", NULL);
}

/* A machine that goes on writing to the disk in place: the caller is warned, the restore refused. */
static void a_disk_that_the_source_wrote_on(void **state)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct guest *source = boot_disk(SPORE_DISK_RW), *g = guest_new();
	struct spore_error err;
	char *warning = NULL;

	(void)state;
	o.ret_warning = &warning;
	guest_pause(source);
	spore_must(spore_machine_snapshot(guest_machine(source), "d.spore", &o, &err), &err, "snapshot");
	assert_non_null(warning);
	assert_non_null(strstr(warning, "disk 0"));
	spore_free(warning);
	guest_resume(source);
	guest_ask(source, "blk 0 write 2000 1 5");
	guest_ask(source, "blk 0 flush");
	guest_free(source);
	refused(g, "d.spore", NULL, SPORE_ERR_CHANGED, "disk.img");
	guest_free(g);
}

static void files_that_are_no_snapshots(void **state)
{
	struct guest *g = guest_new();

	(void)state;
	freeze_and_free(boot_disk(SPORE_DISK_RO), "e.spore");
	refused(g, "nothing.spore", NULL, SPORE_ERR_FILE, "nothing.spore");
	refused(g, ".", NULL, SPORE_ERR_FILE, ".");
	refused(g, "disk.img", NULL, SPORE_ERR_MAGIC, "disk.img");
	refused(g, "/dev/null", NULL, SPORE_ERR_FILE, "/dev/null");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	refused(g, "fifo", NULL, SPORE_ERR_FILE, "fifo");
	write_at("empty", 0, "", 0);
	refused(g, "empty", NULL, SPORE_ERR_TRUNCATED, "empty");
	accepted(g, "e.spore", NULL);
	assert_int_equal(unlink("fifo"), 0);
}

static void a_file_cut_short(void **state)
{
	struct guest *g = guest_new();
	struct stat st;

	(void)state;
	freeze_and_free(boot_disk(SPORE_DISK_RO), "f.spore");
	assert_int_equal(stat("f.spore", &st), 0);
	assert_int_equal(truncate("f.spore", st.st_size - 1), 0);
	refused(g, "f.spore", NULL, SPORE_ERR_TRUNCATED, "f.spore");
	assert_int_equal(truncate("f.spore", 5000), 0);
	refused(g, "f.spore", NULL, SPORE_ERR_TRUNCATED, "f.spore");
	guest_free(g);
}

/* ---- files patched with their checksums mended ---- */

struct patch {
	char path[32];
	uint64_t row, offset, size; /* of the section: where its row is, where it is */
	uint8_t bytes[65536];
};

static void patch_open(struct patch *p, const char *path, const char *kind)
{
	json_t *s = frozen_state(path);
	const json_t *row = state_row(s, kind), *table = state_at(s, "table");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t i = 0;

	(void)snprintf(p->path, sizeof p->path, "%s", path);
	while (json_array_get(table, i) != row)
		i++;
	p->row = SNAP_HEAD_SIZE + SNAP_ROW_SIZE * i;
	p->offset = state_number(row, "offset");
	p->size = state_number(row, "size");
	assert_in_range(p->size, 1, sizeof p->bytes);
	assert_int_equal(pread(fd, p->bytes, p->size, (off_t)p->offset), p->size);
	close(fd);
	json_decref(s);
}

static void patch_close(struct patch *p)
{
	uint8_t head[SNAP_HEAD_SIZE + SNAP_ROW_SIZE * SNAP_ROWS_MAX];
	uint64_t crc = crc64(p->bytes, p->size);
	uint32_t sections;
	int fd = open(p->path, O_RDWR | O_CLOEXEC);
	size_t len;

	assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
	memcpy(&sections, head + 20, sizeof sections); /* docs/snapshot-format.md, section 3 */
	len = SNAP_HEAD_SIZE + SNAP_ROW_SIZE * sections;
	memcpy(head + p->row + 24, &crc, sizeof crc);
	snap_head_seal(head, len);
	assert_int_equal(pwrite(fd, p->bytes, p->size, (off_t)p->offset), p->size);
	assert_int_equal(pwrite(fd, head, len, 0), len);
	close(fd);
}

/* The processor's answer to leaf 7 in the section: function 7, index 0, flags 1. */
static uint32_t *leaf_seven(struct patch *p)
{
	static const uint32_t leaf[3] = { FEATURE_LEAF, 0, 1 };
	uint8_t *at = memmem(p->bytes, p->size, leaf, sizeof leaf);

	assert_non_null(at);
	return (uint32_t *)(void *)(at + sizeof leaf);
}

static void a_processor_with_more_features(void **state)
{
	/* eax ebx ecx edx; one of them is not in any one host */
	static const struct {
		int reg, bit;
		const char *name;
	} rare[] = { { 2, 16, "la57" }, { 3, 24, "amx_tile" }, { 1, 16, "avx512f" } };
	struct guest *g = guest_new();
	static struct patch p;
	const char *name = NULL;

	(void)state;
	freeze_and_free(boot_disk(SPORE_DISK_RO), "g.spore");
	patch_open(&p, "g.spore", "vcpu");
	for (size_t i = 0; i < 3 && name == NULL; i++) {
		if ((leaf_seven(&p)[rare[i].reg] >> rare[i].bit & 1) == 0) {
			leaf_seven(&p)[rare[i].reg] |= 1u << rare[i].bit;
			name = rare[i].name;
		}
	}
	if (name == NULL) {
		print_message("this host has every feature that there is\n");
		skip();
	}
	patch_close(&p);
	refused(g, "g.spore", NULL, SPORE_ERR_CPU_FEATURE, name);
	assert_int_equal(spore_verify("g.spore", NULL, NULL, NULL), SPORE_ERR_CPU_FEATURE);
	/* less than the host has is well */
	patch_open(&p, "g.spore", "vcpu");
	leaf_seven(&p)[1] = leaf_seven(&p)[2] = leaf_seven(&p)[3] = 0;
	patch_close(&p);
	accepted(g, "g.spore", NULL);
}

static void a_bit_flipped(void **state)
{
	struct guest *g = guest_new();
	static struct patch p;
	struct spore_error err;
	uint64_t ram, block;
	json_t *s;
	uint8_t byte;
	int fd;

	(void)state;
	freeze_and_free(boot_disk(SPORE_DISK_RO), "h.spore");
	/* outside RAM: whoever opens it */
	patch_open(&p, "h.spore", "serial");
	byte = p.bytes[0] ^ 1;
	write_at("h.spore", (off_t)p.offset, &byte, 1);
	refused(g, "h.spore", NULL, SPORE_ERR_CHECKSUM, "serial");
	write_at("h.spore", (off_t)p.offset, p.bytes, 1);
	/* in RAM: who verifies it */
	s = frozen_state("h.spore");
	ram = state_number(state_row(s, "ram"), "offset");
	block = state_number(s, "ram-map/runs/0/0");
	json_decref(s);
	fd = open("h.spore", O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, (off_t)(ram + block * 65536 + 65535)), 1);
	byte ^= 0x80;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)(ram + block * 65536 + 65535)), 1);
	close(fd);
	assert_int_equal(spore_verify("h.spore", NULL, NULL, &err), SPORE_ERR_CHECKSUM);
	assert_non_null(strstr(err.text, "h.spore"));
	assert_int_equal(restore_with(g, "h.spore", NULL, SPORE_RESTORE_VERIFY, &err),
			 SPORE_ERR_CHECKSUM);
	accepted(g, "h.spore", NULL);
}

/* A stored disk that is gone, or another. */
static void a_stored_disk_that_is_not_there(void **state)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct guest *source = boot_disk(SPORE_DISK_RW), *g = guest_new();
	struct spore_error err;
	char stored[256];
	json_t *s;

	(void)state;
	o.flags = SPORE_SNAPSHOT_DISKS;
	guest_pause(source);
	spore_must(spore_machine_snapshot(guest_machine(source), "i.spore", &o, &err), &err, "snapshot");
	guest_free(source);
	s = frozen_state("i.spore");
	(void)snprintf(stored, sizeof stored, "%s", json_string_value(state_at(s, "device/0/disk/path")));
	json_decref(s);
	assert_int_equal(rename(stored, "away"), 0);
	refused(g, "i.spore", NULL, SPORE_ERR_FILE, stored);
	place_make_disk(stored, DISK / 2, 0, 0);
	refused(g, "i.spore", NULL, SPORE_ERR_CHANGED, stored);
	assert_int_equal(rename("away", stored), 0);
	accepted(g, "i.spore", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_that_changed),
		cmocka_unit_test(another_file_as_the_disk),
		cmocka_unit_test(a_disk_in_use),
		cmocka_unit_test(a_disk_that_the_source_wrote_on),
		cmocka_unit_test(files_that_are_no_snapshots),
		cmocka_unit_test(a_file_cut_short),
		cmocka_unit_test(a_processor_with_more_features),
		cmocka_unit_test(a_bit_flipped),
		cmocka_unit_test(a_stored_disk_that_is_not_there),
	};

	return cmocka_run_group_tests_name("refuse", tests, place_setup, place_teardown);
}
