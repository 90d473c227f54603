/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel file for x86-64, judged, unpacked and placed in fresh guest memory. */
#pragma once

#include "machine/boot/boot.h"
#include "wire/bzimage.h"

enum kernel_entry {
	ENTRY_PVH,     /* 32-bit, by the PVH note */
	ENTRY_LINUX64, /* long mode, by the 64-bit boot protocol */
};

struct kernel {
	enum kernel_entry how;
	uint64_t entry;
	gpa_t end;                /* everything from here on is free */
	uint8_t setup_header[SETUP_HEADER_MAX]; /* a bzImage's own, from 0x1f1 on */
	size_t setup_header_len;                /* 0: it is none */
	uint64_t initrd_addr_max; /* the highest address a byte of an initrd may have */
	uint32_t cmdline_max;
	bool is_linux;
};

/* Nothing goes below `lowest`, nor beyond the first region of `ram`. */
must_check err_t kernel_place(const struct boot_file *f, enum boot_method method,
			      const struct gmem *ram, gpa_t lowest, struct diag *d,
			      struct kernel *ret);
