/* SPDX-License-Identifier: Apache-2.0 */
/* What a zygote is made of. Inside life/ only. */
#pragma once

#include "base/refs.h"
#include "life/devices.h"
#include "life/zygote.h"
#include "machine/ram/ram_base.h"

struct zygote {
	struct refs references;
	struct zygote_id id, parent;
	const struct image *image;
	struct ram_base *ram;
	struct disk_base *disks[SHAPE_DEVICES_MAX]; /* by slot */
};

/* Takes the image and, on success, nothing else: the caller fills in the rest. */
must_check err_t zygote_alloc(const struct image *image, struct diag *d, struct zygote **ret);
