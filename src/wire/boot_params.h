/* SPDX-License-Identifier: Apache-2.0 */
/* The zero page: what the Linux boot protocol tells a kernel for x86 (Linux,
 * Documentation/arch/x86/boot.rst and zero-page.rst). Values to bytes only. */
#pragma once

#include "base/bytes.h"
#include "base/units.h"
#include "wire/bzimage.h"

/* What a loader tells a kernel, by whatever protocol. */
enum { BOOT_MAP_MAX = 16 };
struct boot_map_row {
	gpa_t at;
	bytes_t len;
	uint32_t type; /* ACPI address range type */
};
struct boot_info {
	gpa_t cmdline;      /* a string that ends with a zero byte */
	gpa_t initrd;
	bytes_t initrd_len; /* 0: none */
	gpa_t rsdp;
	uint32_t n_rows;
	struct boot_map_row rows[BOOT_MAP_MAX];
};

enum { BOOT_PARAMS_SIZE = 4096 };

/* Writes BOOT_PARAMS_SIZE bytes to the empty `o`. `setup_header` is a bzImage's own, or empty for
 * a kernel that came without one. */
void boot_params_encode(struct out *o, const struct boot_info *v, struct cur setup_header);
