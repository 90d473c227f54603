/* SPDX-License-Identifier: Apache-2.0 */
/* geometry -> the ACPI tables that tell a guest what it runs on. */
#pragma once

#include "base/bytes.h"
#include "plan/geometry.h"

/* Writes what belongs at MAP_ACPI: the RSDP first, then every table, each found by its address.
 * `o` is empty and holds MAP_ACPI_LEN bytes at most; o->len then says how many were used. The same
 * machine gives the same bytes. ERR_SIZE when they do not fit. */
must_check err_t acpi_plan(const struct geometry *g, struct out *o);
