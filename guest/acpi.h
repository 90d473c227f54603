/* SPDX-License-Identifier: Apache-2.0 */
/* The one thing the guest wants of ACPI: which CPUs there are. */
#ifndef TGUEST_ACPI_H
#define TGUEST_ACPI_H

#include <stdint.h>

/* Adds every enabled CPU of the MADT; no table, no CPUs but this one. */
void acpi_find_cpus(uint64_t rsdp);

#endif
