/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSDP to XSDT (or RSDT) to MADT: ACPI 5.2.5, 5.2.7, 5.2.8, 5.2.12. Checksums are
 * left to tests that have iasl; every length is bounded by its table's.
 */
#include "acpi.h"

#include "cpu.h"
#include "mem.h"
#include "smp.h"

#define RSDP_REVISION 15
#define RSDP_RSDT 16
#define RSDP_XSDT 24
#define TABLE_LENGTH 4
#define TABLE_HEADER 36
#define MADT_ENTRIES 44
#define MADT_LAPIC 0
#define MADT_X2APIC 9
#define MADT_ENABLED 1
#define SIGNATURE_MADT 0x43495041 /* "APIC" */

static void madt_read(uint64_t madt)
{
	uint64_t end = madt + mmio_read32(madt + TABLE_LENGTH);
	uint8_t len;

	for (uint64_t at = madt + MADT_ENTRIES; at + 2 <= end; at += len) {
		len = mmio_read8(at + 1);
		if (len < 2 || at + len > end)
			return;
		if (mmio_read8(at) == MADT_LAPIC && (mmio_read32(at + 4) & MADT_ENABLED) != 0)
			cpu_add(mmio_read8(at + 3));
		if (mmio_read8(at) == MADT_X2APIC && (mmio_read32(at + 8) & MADT_ENABLED) != 0)
			cpu_add(mmio_read32(at + 4));
	}
}

void acpi_find_cpus(uint64_t rsdp)
{
	bool wide;
	uint64_t root, end;

	if (rsdp == 0 || !mem_reach(rsdp, TABLE_HEADER))
		return;
	wide = mmio_read8(rsdp + RSDP_REVISION) >= 2;
	root = wide ? mmio_read64(rsdp + RSDP_XSDT) : mmio_read32(rsdp + RSDP_RSDT);
	end = root + mmio_read32(root + TABLE_LENGTH);
	for (uint64_t at = root + TABLE_HEADER; at < end; at += wide ? 8 : 4) {
		uint64_t table = wide ? mmio_read64(at) : mmio_read32(at);

		if (mmio_read32(table) == SIGNATURE_MADT)
			madt_read(table);
	}
}
