/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader said, copied out of its structures before anything can write
 * over them. The loader is trusted to have followed its protocol.
 */
#ifndef TGUEST_BOOTINFO_H
#define TGUEST_BOOTINFO_H

#include <stdint.h>

#define BOOT_RANGES 16
#define BOOT_LINE_MAX 2048

struct boot_range {
	uint64_t start, len;
	uint32_t type;
};

struct boot_info {
	uint64_t rsdp;      /* 0 where the loader gave none */
	uint64_t ram_bytes; /* of all ranges of type 1 */
	unsigned ranges;    /* as many as fit */
	struct boot_range range[BOOT_RANGES];
	char line[BOOT_LINE_MAX];
};

extern struct boot_info boot_info;

/* kind: BOOT_PVH or BOOT_LINUX; at: hvm_start_info or boot_params */
void boot_info_read(int kind, uint64_t at);

#endif
