/* SPDX-License-Identifier: Apache-2.0 */
/* The root of the ACPI tables: RSDP -> XSDT -> FADT (-> DSDT), MADT. There is no FACS: a
 * hardware-reduced platform needs none (ACPI 6.5, 5.2.10). */
#include "plan/acpi.h"

#include <string.h>

#include "plan/acpi_table.h"
#include "plan/map_x86_64.h"

enum { RSDP_SIZE = 36, RSDP_V1_SIZE = 20, LENGTH_AT = 4, CHECKSUM_AT = 9 };

uint8_t acpi_checksum(const uint8_t *bytes, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

struct acpi_table acpi_table_open(struct out *o, const char signature[4], uint8_t revision)
{
	struct acpi_table t;

	out_align(o, ACPI_TABLE_ALIGN);
	t.start = o->len;
	out_bytes(o, signature, 4);
	out_u32(o, 0); /* length */
	out_u8(o, revision);
	out_u8(o, 0); /* checksum */
	out_bytes(o, ACPI_OEM_ID, 6);
	out_bytes(o, ACPI_OEM_NAME, 8);
	out_u32(o, 1); /* OEM revision */
	out_bytes(o, "SPOR", 4);
	out_u32(o, 1); /* creator revision */
	return t;
}

void acpi_table_close(struct out *o, struct acpi_table t)
{
	struct out length;

	if (o->overrun)
		return;
	length = out_of(o->base + t.start + LENGTH_AT, sizeof(uint32_t));
	out_u32(&length, (uint32_t)(o->len - t.start));
	o->base[t.start + CHECKSUM_AT] = acpi_checksum(o->base + t.start, o->len - t.start);
}

static gpa_t next_table(struct out *o)
{
	out_align(o, ACPI_TABLE_ALIGN);
	return GPA(MAP_ACPI + o->len);
}

static void put_xsdt(struct out *o, gpa_t fadt, gpa_t madt)
{
	struct acpi_table t = acpi_table_open(o, "XSDT", 1);

	out_u64(o, fadt.v);
	out_u64(o, madt.v);
	acpi_table_close(o, t);
}

/* ACPI 6.5, 5.2.5.3. Two checksums: of the first 20 bytes, which is all that ACPI 1.0 knew, and of
 * the whole. There is no RSDT. */
static void put_rsdp(struct out *o, gpa_t xsdt)
{
	uint8_t *base = o->base + o->len;

	out_bytes(o, "RSD PTR ", 8);
	out_u8(o, 0); /* checksum */
	out_bytes(o, ACPI_OEM_ID, 6);
	out_u8(o, 2); /* revision */
	out_u32(o, 0); /* RSDT */
	out_u32(o, RSDP_SIZE);
	out_u64(o, xsdt.v);
	out_u8(o, 0); /* extended checksum */
	out_zero(o, 3);
	if (o->overrun)
		return;
	base[8] = acpi_checksum(base, RSDP_V1_SIZE);
	base[32] = acpi_checksum(base, RSDP_SIZE);
}

err_t acpi_plan(const struct geometry *g, struct out *o)
{
	const struct topology *t = geometry_topology(g);
	gpa_t dsdt, fadt, madt, xsdt;
	struct out head;

	out_zero(o, RSDP_SIZE); /* written last, when its target is known */
	dsdt = next_table(o);
	acpi_put_dsdt(o, t);
	fadt = next_table(o);
	acpi_put_fadt(o, dsdt);
	madt = next_table(o);
	acpi_put_madt(o, topology_shape(t)->vcpus);
	xsdt = next_table(o);
	put_xsdt(o, fadt, madt);
	TRY(out_done(o));
	head = out_of(o->base, RSDP_SIZE);
	put_rsdp(&head, xsdt);
	return out_done(&head);
}
