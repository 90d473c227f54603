/* SPDX-License-Identifier: Apache-2.0 */
/* bzImage: a Linux kernel for x86 as distributions ship it, a setup part with a header, then the
 * protected-mode part, which carries the compressed vmlinux (Linux,
 * Documentation/arch/x86/boot.rst).
 *
 * The input is hostile. A `struct bzimage` borrows from it: its cursors lie within the file, and
 * the payload lies within the protected-mode part. */
#pragma once

#include "base/bytes.h"
#include "base/units.h"
#include "wire/decompress.h"

enum {
	SETUP_HEADER_AT = 0x1f1,  /* in the file and in the zero page alike */
	SETUP_HEADER_MAX = 0x290 - SETUP_HEADER_AT,
	BZIMAGE_PAYLOAD_SINCE = 0x208,
	BZIMAGE_ENTRY64_SINCE = 0x20c,
	BZIMAGE_ENTRY64_AT = 0x200, /* from the start of the protected-mode part */
};

struct bzimage {
	uint16_t version;
	struct cur setup_header; /* as it goes into the zero page: 0x1f1 to its end */
	struct cur code;         /* the protected-mode part, without what is appended to it */
	struct cur payload;      /* the compressed vmlinux; its last 4 bytes are the size it unpacks to */
	uint32_t unpacked_len;   /* what that size says; to be checked when unpacking */
	uint32_t initrd_addr_max;
	uint32_t cmdline_max;    /* longest command line, the terminating zero not counted */
	uint64_t pref_address;   /* 0: none stated */
	uint32_t init_size;      /* memory from pref_address on that it needs; 0: not stated */
	bool entry64;            /* XLF_KERNEL_64: may be entered in long mode at + 0x200 */
};

/* The packed bytes themselves: the size was appended by the kernel's build, except that gzip's own
 * format ends with it. */
struct cur bzimage_packed(const struct bzimage *b, enum packing p);

/* Does it have a setup header's two magic numbers? */
must_check bool bzimage_looks_like(struct cur file);

/* ERR_TRUNCATED or ERR_KERNEL with the field in *d. */
must_check err_t bzimage_parse(struct cur file, struct diag *d, struct bzimage *ret);
