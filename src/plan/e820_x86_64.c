/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map of an x86-64 machine. The guest is never told of RAM that the monitor put
 * something into which must outlive the boot: the ACPI tables and the generation id. */
#include "plan/e820.h"

#include "plan/map_x86_64.h"

static_assert(MAP_LOW_END < MAP_ACPI && MAP_ACPI + MAP_ACPI_LEN == MAP_VMGENID &&
	      MAP_VMGENID < MAP_KERNEL, "the reserved parts below 1 MiB are in this order");
static_assert(MAP_IDENTITY + FILE_PAGE == MAP_TSS, "KVM's own pages are one range");
static_assert(MAP_KERNEL < MAP_RAM_MIN, "every machine has RAM above 1 MiB");

static void put(struct e820_map *m, uint64_t from, uint64_t to, enum e820_type type)
{
	m->entries[m->n++] = (struct e820_entry){ GPA(from), BYTES(to - from), type };
}

struct e820_map e820_plan(const struct geometry *g)
{
	struct ram_region low = geometry_ram_region(g, 0);
	struct e820_map m = { 0 };

	put(&m, 0, MAP_LOW_END, E820_RAM);
	put(&m, MAP_LOW_END, MAP_ACPI, E820_RESERVED);
	put(&m, MAP_ACPI, MAP_VMGENID, E820_ACPI);
	put(&m, MAP_VMGENID, MAP_KERNEL, E820_RESERVED);
	put(&m, MAP_KERNEL, low.len.v, E820_RAM);
	put(&m, MAP_IDENTITY, MAP_TSS + 3 * FILE_PAGE, E820_RESERVED);
	for (uint32_t i = 1; i < geometry_ram_regions(g); i++) {
		struct ram_region high = geometry_ram_region(g, i);

		put(&m, high.at.v, high.at.v + high.len.v, E820_RAM);
	}
	return m;
}
