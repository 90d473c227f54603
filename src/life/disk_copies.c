/* SPDX-License-Identifier: Apache-2.0 */
#include "life/disk_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "life/devices.h"
#include "life/snapshot_file.h"

enum { ID_DIGITS = 8 };

static bool is_copied(const struct disk_use *use, bool all)
{
	return (use->mode == DISK_RW && all) || (use->mode == DISK_COW && use->layered);
}

static err_t open_one(struct disk_copies *c, const struct new_file *f, uint32_t id, uint32_t slot,
		      struct diag *d)
{
	char name[sizeof f->name];
	int n = snprintf(name, sizeof name, "%s.%08x.disk%u", f->name, id, slot);

	if (n < 0 || (size_t)n >= sizeof name)
		return diag_fail(d, FAIL(ERR_USAGE), "%s: the name is too long for the copies of "
				 "disks beside it", f->name);
	return new_file_beside(f, name, d, &c->file[slot]);
}

static void warn_in_place(struct diag *warning, uint32_t disk)
{
	if (warning != NULL)
		ignore(diag_fail(warning, FAIL(ERR_CHANGED),
				 "disk %u is writable and stays where it is: once it is written "
				 "again, this snapshot cannot be restored with it (--disks stores a "
				 "copy)", disk));
}

err_t disk_copies_open(const struct vm *vm, const struct new_file *f, bool all,
		       struct diag *warning, struct diag *d, struct disk_copies *ret)
{
	uint32_t id, slots = topology_slots(geometry_topology(vm->geo)), disk = 0;
	err_t e = OK;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		ret->file[i] = NEW_FILE_NONE;
	if (getrandom(&id, sizeof id, 0) != sizeof id)
		return diag_sys(d, FAIL_SYS(errno), "naming the disks' copies");
	for (uint32_t i = 0; i < slots && !failed(e); i++) {
		struct disk_use use = devices_disk_use(vm->devices, i);

		if (use.mode == DISK_RW && !all)
			warn_in_place(warning, disk);
		disk += topology_slot(geometry_topology(vm->geo), i)->kind == DEV_BLK;
		if (is_copied(&use, all))
			e = open_one(ret, f, id, i, d);
	}
	if (failed(e))
		disk_copies_drop(ret);
	return e;
}

err_t disk_copies_name(struct disk_copies *c, struct diag *d)
{
	const struct new_file *last = NULL;
	err_t e = OK;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX && !failed(e); i++) {
		if (!fd_is_open(c->file[i].fd))
			continue;
		e = new_file_name(&c->file[i], d);
		last = &c->file[i];
	}
	if (!failed(e) && last != NULL)
		e = new_file_sync_names(last, d);
	if (failed(e))
		disk_copies_unname(c);
	return e;
}

void disk_copies_unname(struct disk_copies *c)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		new_file_unname(&c->file[i]);
}

void disk_copies_drop(struct disk_copies *c)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		new_file_drop(&c->file[i]);
}

/* FILE.xxxxxxxx.diskN: an old FILE is as hostile as any, and must not be able to have another file of its
 * folder removed, another snapshot's copy neither. */
static bool is_copy_of(const char *file, const char *name)
{
	size_t n = strlen(file);
	const char *id = name + n + 1;
	unsigned number;
	int used = 0;

	return strncmp(name, file, n) == 0 && name[n] == '.' &&
	       strspn(id, "0123456789abcdef") == ID_DIGITS &&
	       sscanf(id + ID_DIGITS, ".disk%2u%n", &number, &used) == 1 &&
	       id[ID_DIGITS + used] == '\0';
}

static void remember(struct old_copies *o, const struct disk_file *file)
{
	size_t n = strlen(file->path);

	if (file->stored && n < sizeof o->name[0])
		memcpy(o->name[o->n++], file->path, n + 1);
}

struct old_copies disk_copies_of(const char *path)
{
	struct old_copies o = { 0 };
	struct snapshot *old;
	const struct image *i;

	if (failed(snapshot_open(path, NULL, &old)))
		return o;
	i = snapshot_image(old);
	for (uint32_t n = 0; n < topology_slots(geometry_topology(image_geometry(i))); n++) {
		struct blk_view view;

		if (!device_as_blk(image_device(i, (slot_id){ n }), &view))
			continue;
		remember(&o, &view.dev->blk.base);
		remember(&o, &view.dev->blk.layer);
	}
	snapshot_free(old);
	return o;
}

void disk_copies_remove_old(const struct new_file *f, const struct old_copies *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (is_copy_of(f->name, o->name[i]))
			(void)unlinkat(f->dir.raw, o->name[i], 0);
}
