/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/boot_params.h"

#include <string.h>

/* Offsets in the zero page. */
enum {
	AT_RSDP = 0x070,
	AT_EXT_INITRD = 0x0c0, /* upper halves: image, size, command line */
	AT_E820_COUNT = 0x1e8,
	AT_SECTORS = 0x1f1,
	AT_BOOT_FLAG = 0x1fe,
	AT_HEADER = 0x202,
	AT_LOADER = 0x210,
	AT_LOADFLAGS = 0x211,
	AT_INITRD = 0x218,
	AT_CMDLINE = 0x228,
	AT_ALIGNMENT = 0x230,
	AT_CMDLINE_SIZE = 0x238,
	AT_E820 = 0x2d0,
};
enum {
	LOADER_UNKNOWN = 0xff, /* a loader without an assigned number */
	LOADED_HIGH = 1 << 0,
	/* For a kernel that came without a header: enough to be taken for one by the kernel itself. */
	OWN_VERSION = 0x20f,
	OWN_ALIGNMENT = 0x200000,
	OWN_CMDLINE_SIZE = 2047,
};

static void pad_to(struct out *o, size_t at)
{
	out_zero(o, at - o->len);
}

/* One little-endian field of the setup header, which lies at SETUP_HEADER_AT. */
static void header_put(uint8_t *header, size_t at, size_t n, uint32_t v)
{
	for (size_t i = 0; i < n; i++)
		header[at - SETUP_HEADER_AT + i] = (uint8_t)(v >> (8 * i));
}

static void header_fill(uint8_t header[SETUP_HEADER_MAX], const struct boot_info *v,
			struct cur theirs)
{
	uint8_t loadflags = LOADED_HIGH;

	if (cur_left(&theirs) != 0) {
		memcpy(header, theirs.at, cur_left(&theirs));
		loadflags |= header[AT_LOADFLAGS - SETUP_HEADER_AT];
	} else {
		memcpy(header + AT_HEADER - SETUP_HEADER_AT, "HdrS", 4);
		header_put(header, AT_HEADER + 4, 2, OWN_VERSION);
		header_put(header, AT_BOOT_FLAG, 2, 0xaa55);
		header_put(header, AT_ALIGNMENT, 4, OWN_ALIGNMENT);
		header_put(header, AT_CMDLINE_SIZE, 4, OWN_CMDLINE_SIZE);
	}
	header_put(header, AT_LOADER, 1, LOADER_UNKNOWN);
	header_put(header, AT_LOADFLAGS, 1, loadflags);
	header_put(header, AT_INITRD, 4, (uint32_t)v->initrd.v);
	header_put(header, AT_INITRD + 4, 4, (uint32_t)v->initrd_len.v);
	header_put(header, AT_CMDLINE, 4, (uint32_t)v->cmdline.v);
}

void boot_params_encode(struct out *o, const struct boot_info *v, struct cur setup_header)
{
	uint8_t header[SETUP_HEADER_MAX] = { 0 };

	header_fill(header, v, setup_header);
	pad_to(o, AT_RSDP);
	out_u64(o, v->rsdp.v);
	pad_to(o, AT_EXT_INITRD);
	out_u32(o, (uint32_t)(v->initrd.v >> 32));
	out_u32(o, (uint32_t)(v->initrd_len.v >> 32));
	out_u32(o, (uint32_t)(v->cmdline.v >> 32));
	pad_to(o, AT_E820_COUNT);
	out_u8(o, (uint8_t)v->n_rows);
	pad_to(o, AT_SECTORS);
	out_bytes(o, header, sizeof header);
	pad_to(o, AT_E820);
	for (uint32_t i = 0; i < v->n_rows; i++) {
		out_u64(o, v->rows[i].at.v);
		out_u64(o, v->rows[i].len.v);
		out_u32(o, v->rows[i].type);
	}
	pad_to(o, BOOT_PARAMS_SIZE);
}
