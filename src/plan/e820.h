/* SPDX-License-Identifier: Apache-2.0 */
/* geometry -> the memory map that the guest is told, by boot_params and by PVH alike. */
#pragma once

#include "plan/geometry.h"

/* ACPI 6.5, 15.1: address range types. */
enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3, /* tables: usable once they were read */
};

struct e820_entry {
	gpa_t at;
	bytes_t len;
	enum e820_type type;
};

enum { E820_MAX = 8 };
struct e820_map {
	uint32_t n;
	struct e820_entry entries[E820_MAX]; /* ascending, none empty, none overlapping */
};

struct e820_map e820_plan(const struct geometry *g);
