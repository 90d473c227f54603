/* SPDX-License-Identifier: Apache-2.0 */
/* The processor state that the two boot protocols ask for, and the tables it refers to. */
#pragma once

#include "machine/boot/boot_x86_64.h"

/* 32-bit protected mode without paging (Xen, docs/misc/pvh.pandoc): EBX is hvm_start_info. */
must_check err_t entry_pvh(const struct gmem *ram, uint64_t entry, gpa_t start_info,
			   struct boot_entry *ret);

/* Long mode, the first 4 GiB mapped one to one (Linux, Documentation/arch/x86/boot.rst, "64-bit
 * boot protocol"): RSI is the zero page. */
must_check err_t entry_linux64(const struct gmem *ram, uint64_t entry, gpa_t zero_page,
			       struct boot_entry *ret);
