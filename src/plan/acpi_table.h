/* SPDX-License-Identifier: Apache-2.0 */
/* What ACPI tables have in common, and the tables; for plan/acpi*.c only. */
#pragma once

#include "base/bytes.h"
#include "plan/geometry.h"

#define ACPI_OEM_ID   "SPORE "   /* 6 bytes */
#define ACPI_OEM_NAME "SPOREVM " /* 8 bytes */

enum { ACPI_TABLE_HEADER = 36, ACPI_TABLE_ALIGN = 16 };

/* An open table: where it begins. */
struct acpi_table {
	size_t start;
};

/* The header of ACPI 6.5, 5.2.6; length and checksum are put in by acpi_table_close. */
must_check struct acpi_table acpi_table_open(struct out *o, const char signature[4],
					     uint8_t revision);
void acpi_table_close(struct out *o, struct acpi_table t);
/* What makes the bytes sum to zero. */
uint8_t acpi_checksum(const uint8_t *bytes, size_t n);

/* Each writes one table. */
void acpi_put_dsdt(struct out *o, const struct topology *t);
void acpi_put_fadt(struct out *o, gpa_t dsdt);
void acpi_put_madt(struct out *o, uint32_t vcpus);
