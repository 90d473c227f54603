/* SPDX-License-Identifier: Apache-2.0 */
/* The x86-64 answers to plan/map.h. */
#include "plan/map_x86_64.h"

#include "plan/map.h"

#define MMIO_QUEUE_NOTIFY 0x50u

static_assert(MAP_MMIO == MAP_RAM_HOLE, "device windows begin where low RAM ends");
static_assert(MAP_MMIO_SLOT0 + SHAPE_DEVICES_MAX * MAP_MMIO_STRIDE <= MAP_IOAPIC,
	      "the last device window ends below the IOAPIC");
static_assert(GSI_FIRST_SLOT + SHAPE_DEVICES_MAX <= IOAPIC_PINS,
	      "every slot has an IOAPIC pin of its own");
static_assert(MAP_RAM_HOLE % RAM_BLOCK == 0, "a block does not span the hole");

enum arch map_arch(void)
{
	return ARCH_X86_64;
}

struct map_window map_slot(slot_id slot)
{
	uint64_t mmio = MAP_MMIO_SLOT0 + slot.v * MAP_MMIO_STRIDE;

	return (struct map_window){
		.mmio = GPA(mmio),
		.len = BYTES(MAP_MMIO_STRIDE),
		.notify = GPA(mmio + MMIO_QUEUE_NOTIFY),
		.gsi = { GSI_FIRST_SLOT + slot.v },
	};
}

const char *map_ram_fault(bytes_t ram)
{
	if (ram.v < MAP_RAM_MIN)
		return "at least 16 MiB (16777216)";
	if (ram.v > MAP_RAM_MAX)
		return "at most 1 TiB (1099511627776)";
	if (ram.v % RAM_BLOCK != 0)
		return "a multiple of 64 KiB (65536)";
	return NULL;
}

uint32_t map_ram_regions(bytes_t ram, struct ram_region ret_regions[RAM_REGIONS_MAX])
{
	uint64_t low = ram.v < MAP_RAM_HOLE ? ram.v : MAP_RAM_HOLE;

	ret_regions[0] = (struct ram_region){ .at = GPA(0), .len = BYTES(low), .kvm_slot = 0 };
	if (ram.v == low)
		return 1;
	ret_regions[1] = (struct ram_region){
		.at = GPA(MAP_RAM_HIGH),
		.len = BYTES(ram.v - low),
		.offset = BYTES(low),
		.kvm_slot = 1,
	};
	return 2;
}

/* reboot=acpi: on hardware-reduced ACPI Linux would try EFI and the BIOS first. */
const char *map_cmdline(void)
{
	return "console=ttyS0 reboot=acpi panic=-1";
}
