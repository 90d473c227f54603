/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest finds where a PC has its BIOS entry.
 *
 * Linux on hardware-reduced ACPI reboots by EFI, and where there is no EFI by jumping to
 * F000:FFF0 in real mode (arch/x86/kernel/reboot.c), unless its command line says otherwise. There
 * is no BIOS, so the code there asks for the reset itself. */
#pragma once

#include "base/bytes.h"

enum { RESET_VECTOR_LEN = 16 };

/* RESET_VECTOR_LEN bytes for MAP_RESET_VECTOR. */
void reset_vector_plan(struct out *o);
