/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker makes of the zygote that it was given, as its guest may have taken it over. */
#pragma once

#include "life/zygote.h"
#include "machine/disk/disk.h"

/* Of the disks of a machine that was branched: what others get instead of what its worker may still
 * write. */
struct heir_copies { struct disk_copies *disk[SHAPE_DEVICES_MAX]; };

/* Is that what a worker could have made of what it was given: the same shape, and the same disks, none of
 * them written in place? Then nobody shares the heir yet, and its disks become what is safe to share
 * (disk_base_inherit): with `copies` although the worker goes on, NULL when it has ended before it is
 * used. */
must_check err_t heir_take(struct zygote *heir, const struct zygote *of, struct heir_copies *copies,
			   struct diag *d);
void heir_copies_drop(struct heir_copies *c);
