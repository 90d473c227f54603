/* SPDX-License-Identifier: Apache-2.0 */
/* hvm_start_info: what the PVH boot protocol tells a kernel (Xen, docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h, version 1). Values to bytes only. */
#pragma once

#include "wire/boot_params.h"

/* At most this long, with the module list and the memory map that it points to. */
enum { PVH_INFO_MAX = 56 + 32 + 24 * BOOT_MAP_MAX };

/* Writes it to the empty `o` as it will lie at `at`. */
void pvh_info_encode(struct out *o, const struct boot_info *v, gpa_t at);
