/* SPDX-License-Identifier: Apache-2.0 */
/* The copies of disks that lie beside a snapshot file: FILE.<id>.disk<slot>. The id is new for each
 * snapshot, so that replacing FILE never touches what the old FILE needs; once the new one has the
 * name, the copies that the old one names go. They have no names while they are written, which
 * takes long, and get them right before FILE does. Inside life/ only. */
#pragma once

#include "life/new_file.h"
#include "life/vm_internal.h"

struct disk_copies {
	struct new_file file[SHAPE_DEVICES_MAX]; /* by slot; those not open are not needed */
};

/* Opens what is to be filled: copies of writable disks when `all`, of layers always (they exist
 * nowhere else). Says in *warning (may be NULL) which writable disks stay in place. */
must_check err_t disk_copies_open(const struct vm *vm, const struct new_file *f, bool all,
				  struct diag *warning, struct diag *d, struct disk_copies *ret);
/* Gives them their names, durably. On failure none has one. */
must_check err_t disk_copies_name(struct disk_copies *c, struct diag *d);
/* Takes the names back: FILE did not get its own. */
void disk_copies_unname(struct disk_copies *c);
void disk_copies_drop(struct disk_copies *c);

/* What an older FILE names as its copies. */
struct old_copies {
	uint32_t n;
	char name[2 * SHAPE_DEVICES_MAX][256];
};
/* What lies at `path`, before it is replaced; none where that is no snapshot. */
struct old_copies disk_copies_of(const char *path);
/* Once the new FILE has the name: those that can only be its own go. One that was renamed leaves them. */
void disk_copies_remove_old(const struct new_file *f, const struct old_copies *o);
