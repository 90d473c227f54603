/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvm_start_info (Xen: docs/misc/pvh, start_info.h) and boot_params (Linux:
 * Documentation/arch/x86/zero-page.rst), read by offset.
 */
#include "bootinfo.h"

#include "cpu.h"
#include "layout.h"
#include "mem.h"

#define PVH_VERSION 4
#define PVH_CMDLINE 24
#define PVH_RSDP 32
#define PVH_MEMMAP 40 /* from version 1 on */
#define PVH_MEMMAP_ENTRIES 48
#define PVH_ENTRY_BYTES 24

#define ZERO_RSDP 0x070
#define ZERO_CMDLINE_HIGH 0x0c8
#define ZERO_E820_ENTRIES 0x1e8
#define ZERO_CMDLINE 0x228
#define ZERO_E820 0x2d0
#define ZERO_ENTRY_BYTES 20

#define RANGE_RAM 1

struct boot_info boot_info;

/* Entries of both kinds begin alike: start, length, type. */
static void ranges_read(uint64_t at, unsigned count, unsigned stride)
{
	for (unsigned i = 0; i < count; i++, at += stride) {
		struct boot_range range = {
			.start = mmio_read64(at),
			.len = mmio_read64(at + 8),
			.type = mmio_read32(at + 16),
		};

		if (range.type == RANGE_RAM)
			boot_info.ram_bytes += range.len;
		if (range.len != 0 && boot_info.ranges < BOOT_RANGES)
			boot_info.range[boot_info.ranges++] = range;
	}
}

static void line_read(uint64_t at)
{
	const char *from = (const char *)at;
	unsigned i = 0;

	if (at == 0)
		return;
	for (; from[i] != '\0' && i < BOOT_LINE_MAX - 1; i++)
		boot_info.line[i] = from[i];
	boot_info.line[i] = '\0';
}

void boot_info_read(int kind, uint64_t at)
{
	if (kind == BOOT_PVH) {
		boot_info.rsdp = mmio_read64(at + PVH_RSDP);
		line_read(mmio_read64(at + PVH_CMDLINE));
		if (mmio_read32(at + PVH_VERSION) >= 1)
			ranges_read(mmio_read64(at + PVH_MEMMAP), mmio_read32(at + PVH_MEMMAP_ENTRIES),
				    PVH_ENTRY_BYTES);
		return;
	}
	boot_info.rsdp = mmio_read64(at + ZERO_RSDP);
	line_read(mmio_read32(at + ZERO_CMDLINE) | (uint64_t)mmio_read32(at + ZERO_CMDLINE_HIGH) << 32);
	ranges_read(at + ZERO_E820, mmio_read8(at + ZERO_E820_ENTRIES), ZERO_ENTRY_BYTES);
}
