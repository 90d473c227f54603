/* SPDX-License-Identifier: Apache-2.0 */
/* The guest-physical map of an x86-64 machine. Fixed for ever: snapshots depend on it
 * (docs/snapshot-format.md). */
#pragma once

#include "base/units.h"

#define MAP_RAM_HOLE        GIB(3)              /* RAM stops here ...                        */
#define MAP_RAM_HIGH        GIB(4)              /* ... and goes on here                      */
#define MAP_RAM_MIN         MIB(16)
#define MAP_RAM_MAX         GIB(1024)           /* both regions together                     */
#define MAP_MMIO            UINT64_C(0xC0000000) /* first page reserved                      */
#define MAP_MMIO_SLOT0      UINT64_C(0xC0001000)
#define MAP_MMIO_STRIDE     UINT64_C(0x1000)
#define MAP_IOAPIC          UINT64_C(0xFEC00000)
#define MAP_LAPIC           UINT64_C(0xFEE00000)
#define MAP_IDENTITY        UINT64_C(0xFFFBC000) /* KVM_SET_IDENTITY_MAP_ADDR: one page       */
#define MAP_TSS             UINT64_C(0xFFFBD000) /* KVM_SET_TSS_ADDR: three pages             */

/* Below 1 MiB. */
#define MAP_BOOT_GDT        UINT64_C(0x500)
#define MAP_PVH_INFO        UINT64_C(0x6000)    /* hvm_start_info, modules, memory map       */
#define MAP_ZERO_PAGE       UINT64_C(0x7000)    /* boot_params                               */
#define MAP_BOOT_STACK      UINT64_C(0x8FF0)
#define MAP_PAGE_TABLES     UINT64_C(0x9000)    /* PML4, PDPT, then page directories         */
#define MAP_CMDLINE         UINT64_C(0x20000)
#define MAP_LOW_END         UINT64_C(0x9FC00)   /* usable RAM ends here; reserved to 1 MiB   */
#define MAP_ACPI            UINT64_C(0xE0000)   /* RSDP first, then every table              */
#define MAP_ACPI_LEN        UINT64_C(0x10000)
#define MAP_VMGENID         UINT64_C(0xF0000)   /* 16 bytes at the start of a reserved page  */
#define MAP_RESET_VECTOR    UINT64_C(0xFFFF0)   /* where real-mode software reboots to       */
#define MAP_KERNEL          UINT64_C(0x100000)

#define GSI_FIRST_SLOT      5u
#define GSI_SERIAL          4u
#define GSI_VMGENID         3u                  /* the generic event device                  */
#define IOAPIC_PINS         24u

#define PORT_SERIAL         0x3F8u
#define PORT_I8042_DATA     0x60u
#define PORT_I8042_COMMAND  0x64u
#define PORT_SLEEP_RESET    0x600u              /* ACPI sleep control, status and reset      */
#define SLEEP_VALUE_S5      0x34u               /* SLP_EN | 5 << 2                           */
#define SLEEP_VALUE_RESET   0x01u
