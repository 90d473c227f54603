/* SPDX-License-Identifier: Apache-2.0 */
/* What the plan asks of an architecture: one map_<arch>.c answers, chosen by the build. Pure
 * arithmetic over the constants in map_<arch>.h; arguments are judged by the caller. */
#pragma once

#include "plan/geometry.h"

/* Where a virtio-mmio slot is. */
struct map_window {
	gpa_t mmio;
	bytes_t len;
	gpa_t notify; /* virtio 1.2, 4.2.2: QueueNotify */
	gsi_t gsi;
};

enum arch map_arch(void);
/* `slot` is below SHAPE_DEVICES_MAX. */
struct map_window map_slot(slot_id slot);

/* NULL when a machine can have that much RAM, else what was expected ("a multiple of ..."). */
const char *map_ram_fault(bytes_t ram);
/* Cuts RAM (which has no fault) at the architecture's holes; returns the number of regions. */
uint32_t map_ram_regions(bytes_t ram, struct ram_region ret_regions[RAM_REGIONS_MAX]);

/* The kernel's command line when nobody gave one. */
const char *map_cmdline(void);
