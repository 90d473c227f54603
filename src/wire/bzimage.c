/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/bzimage.h"

#include <inttypes.h>

enum {
	BOOT_FLAG = 0xaa55,
	SECTOR = 512,
	SETUP_SECTS_DEFAULT = 4,
	LOADED_HIGH = 1 << 0,
	XLF_KERNEL_64 = 1 << 0,
	SINCE_INIT_SIZE = 0x20a, /* and pref_address */
	/* "HdrS", little-endian */
	HDRS = 'H' | 'd' << 8 | 'r' << 16 | 'S' << 24,
	/* The header's length is in the jump over it: byte 0x201, counted from 0x202. */
	JUMP_BASE = 0x202,
	PAYLOAD_LENGTH_END = 0x250,
};

/* The header as it lies in the file. Fields that nothing here judges have no name. */
struct setup {
	uint8_t sects, loadflags, jump_len, relocatable;
	uint16_t boot_flag, version, xloadflags;
	uint32_t syssize, magic, initrd_addr_max, alignment, cmdline_size;
	uint32_t payload_offset, payload_length, init_size;
	uint64_t pref_address;
};

static err_t setup_read(struct cur *c, struct setup *s)
{
	struct cur skipped;

	TRY(cur_take(c, SETUP_HEADER_AT, &skipped));
	TRY(cur_u8(c, &s->sects));
	TRY(cur_take(c, 2, &skipped)); /* root_flags */
	TRY(cur_u32(c, &s->syssize));
	TRY(cur_take(c, 6, &skipped)); /* ram_size, vid_mode, root_dev */
	TRY(cur_u16(c, &s->boot_flag));
	TRY(cur_take(c, 1, &skipped)); /* jump: its opcode */
	TRY(cur_u8(c, &s->jump_len));
	TRY(cur_u32(c, &s->magic));
	TRY(cur_u16(c, &s->version));
	TRY(cur_take(c, 9, &skipped)); /* realmode_swtch to type_of_loader */
	TRY(cur_u8(c, &s->loadflags));
	TRY(cur_take(c, 26, &skipped)); /* setup_move_size to cmd_line_ptr */
	return cur_u32(c, &s->initrd_addr_max);
}

/* What came with protocol 2.05 to 2.12; all there in a header of version 2.08 or later. */
static err_t setup_read_tail(struct cur *c, struct setup *s)
{
	struct cur skipped;

	TRY(cur_u32(c, &s->alignment));
	TRY(cur_u8(c, &s->relocatable));
	TRY(cur_take(c, 1, &skipped)); /* min_alignment */
	TRY(cur_u16(c, &s->xloadflags));
	TRY(cur_u32(c, &s->cmdline_size));
	TRY(cur_take(c, 12, &skipped)); /* hardware_subarch and its data */
	TRY(cur_u32(c, &s->payload_offset));
	TRY(cur_u32(c, &s->payload_length));
	TRY(cur_take(c, 8, &skipped)); /* setup_data */
	if (s->version < SINCE_INIT_SIZE)
		return OK;
	TRY(cur_u64(c, &s->pref_address));
	return cur_u32(c, &s->init_size);
}

bool bzimage_looks_like(struct cur file)
{
	struct setup s = { 0 };

	return !failed(setup_read(&file, &s)) && s.boot_flag == BOOT_FLAG && s.magic == HDRS;
}

static err_t setup_judge(const struct setup *s, struct diag *d)
{
	if (s->boot_flag != BOOT_FLAG)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "boot_flag",
				  "%#x, expected %#x", s->boot_flag, BOOT_FLAG);
	if (s->magic != HDRS)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "header",
				  "%#" PRIx32 ", expected %#x (\"HdrS\")", s->magic, HDRS);
	if (s->version < BZIMAGE_PAYLOAD_SINCE)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "version",
				  "boot protocol %d.%02d, expected 2.08 or later",
				  s->version >> 8, s->version & 0xff);
	if ((s->loadflags & LOADED_HIGH) == 0)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "loadflags",
				  "LOADED_HIGH is not set: a zImage, expected a bzImage");
	return OK;
}

static err_t setup_judge_tail(const struct setup *s, struct diag *d)
{
	uint64_t end;

	if (s->jump_len < PAYLOAD_LENGTH_END - JUMP_BASE)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "jump",
				  "the header ends at %#x, before its payload fields",
				  JUMP_BASE + s->jump_len);
	if (s->relocatable != 0 && !is_power_of_two(s->alignment))
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "kernel_alignment",
				  "%#" PRIx32 ", expected a power of two", s->alignment);
	if (s->cmdline_size == 0)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "cmdline_size", "zero");
	if (s->version >= SINCE_INIT_SIZE && s->init_size == 0)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "init_size", "zero");
	if (__builtin_add_overflow(s->pref_address, s->init_size, &end))
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "pref_address",
				  "%#" PRIx64 " and %#" PRIx32 " bytes wrap around",
				  s->pref_address, s->init_size);
	return OK;
}

/* The setup header as the zero page wants it, and the protected-mode part. */
static err_t parts_find(struct cur file, const struct setup *s, struct diag *d,
			struct bzimage *io)
{
	size_t sects = s->sects != 0 ? s->sects : SETUP_SECTS_DEFAULT;
	size_t setup_len = (sects + 1) * SECTOR, code_len = (size_t)s->syssize * 16;
	size_t header_end = JUMP_BASE + (size_t)s->jump_len;
	size_t header_len = header_end - SETUP_HEADER_AT, whole = cur_left(&file);
	struct cur skipped, setup;

	if (failed(cur_take(&file, setup_len, &setup)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "bzimage", "setup_sects",
				  "%zu sectors of setup, but the file has %zu bytes", sects, whole);
	if (code_len == 0 || failed(cur_take(&file, code_len, &io->code)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "bzimage", "syssize",
				  "%zu bytes of kernel after %zu of setup, but the file has %zu",
				  code_len, setup_len, whole);
	if (header_len > SETUP_HEADER_MAX)
		header_len = SETUP_HEADER_MAX;
	TRY(cur_take(&setup, SETUP_HEADER_AT, &skipped));
	return cur_take(&setup, header_len, &io->setup_header);
}

static err_t payload_find(const struct setup *s, struct diag *d, struct bzimage *io)
{
	struct cur rest = io->code, tail, skipped;

	if (failed(cur_take(&rest, s->payload_offset, &skipped)))
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "payload_offset",
				  "%" PRIu32 ", but the kernel has %zu bytes", s->payload_offset,
				  cur_left(&io->code));
	if (s->payload_length <= sizeof io->unpacked_len)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "payload_length",
				  "%" PRIu32 " bytes hold no kernel", s->payload_length);
	if (failed(cur_take(&rest, s->payload_length, &io->payload)))
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "payload_length",
				  "%" PRIu32 " bytes at %" PRIu32 ", but the kernel has %zu bytes",
				  s->payload_length, s->payload_offset, cur_left(&io->code));
	tail = io->payload;
	TRY(cur_take(&tail, s->payload_length - sizeof io->unpacked_len, &skipped));
	return cur_u32(&tail, &io->unpacked_len);
}

struct cur bzimage_packed(const struct bzimage *b, enum packing p)
{
	struct cur packed = b->payload;

	if (p != PACK_GZIP)
		packed.end -= sizeof b->unpacked_len;
	return packed;
}

err_t bzimage_parse(struct cur file, struct diag *d, struct bzimage *ret)
{
	struct setup s = { 0 };
	struct cur c = file;
	struct bzimage b;

	if (failed(setup_read(&c, &s)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "bzimage", "header",
				  "the file ends in the setup header, at %zu bytes",
				  cur_left(&file));
	TRY(setup_judge(&s, d));
	if (failed(setup_read_tail(&c, &s)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "bzimage", "header",
				  "the file ends in the setup header, at %zu bytes",
				  cur_left(&file));
	TRY(setup_judge_tail(&s, d));
	b = (struct bzimage){
		.version = s.version,
		.initrd_addr_max = s.initrd_addr_max,
		.cmdline_max = s.cmdline_size,
		.pref_address = s.pref_address,
		.init_size = s.init_size,
		.entry64 = s.version >= BZIMAGE_ENTRY64_SINCE && (s.xloadflags & XLF_KERNEL_64) != 0,
	};
	TRY(parts_find(file, &s, d, &b));
	TRY(payload_find(&s, d, &b));
	*ret = b;
	return OK;
}
