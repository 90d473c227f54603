/* SPDX-License-Identifier: Apache-2.0 */
/* Small kernels made by hand: a vmlinux with a PVH note, and bzImages that carry it in each
 * compression. Every field has the same place in all of them, so that a test can spoil one. */
#pragma once

#include "support/test.h"

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "wire/bzimage.h"
#include "wire/decompress.h"

struct blob {
	uint8_t *bytes; /* from malloc, of exactly this size: a sanitizer sees each byte too many */
	size_t len;
};

static inline struct blob blob_new(size_t n)
{
	struct blob b = { calloc(1, n != 0 ? n : 1), n };

	assert_non_null(b.bytes);
	return b;
}

/* The first n bytes in memory of their own. */
static inline struct blob blob_cut(struct blob b, size_t n)
{
	struct blob cut = blob_new(n);

	if (n != 0)
		memcpy(cut.bytes, b.bytes, n);
	return cut;
}

static inline struct cur blob_cur(struct blob b)
{
	return cur_of(b.bytes, b.len);
}

static inline void put(struct blob b, size_t at, unsigned width, uint64_t v)
{
	assert_true(at + width <= b.len);
	for (unsigned i = 0; i < width; i++)
		b.bytes[at + i] = (uint8_t)(v >> (8 * i));
}

/* ---- vmlinux ---- */

enum {
	VMLINUX_TEXT_AT = 0x1000, VMLINUX_TEXT = 0x3000,
	VMLINUX_DATA_AT = 0x4000, VMLINUX_DATA = 0x2000, VMLINUX_DATA_MEM = 0x5000,
	VMLINUX_NOTE_AT = 0x1800, VMLINUX_NOTE = 44,
	VMLINUX_LEN = 0x6100,
	VMLINUX_TEXT_GPA = 0x200000, VMLINUX_DATA_GPA = 0x300000,
	VMLINUX_ENTRY = VMLINUX_TEXT_GPA, VMLINUX_PVH = VMLINUX_TEXT_GPA + 0x100,
	/* File offsets of the program headers and of fields in them. */
	PH_TEXT = 64, PH_DATA = 64 + 56, PH_NOTE = 64 + 112,
	P_TYPE = 0, P_OFFSET = 8, P_PADDR = 24, P_FILESZ = 32, P_MEMSZ = 40, P_ALIGN = 48,
};

static inline void put_phdr(struct blob b, size_t at, uint32_t type, uint64_t offset,
			    uint64_t paddr, uint64_t filesz, uint64_t memsz, uint64_t align)
{
	put(b, at + P_TYPE, 4, type);
	put(b, at + P_OFFSET, 8, offset);
	put(b, at + 16, 8, 0xffffffff80000000 + paddr);
	put(b, at + P_PADDR, 8, paddr);
	put(b, at + P_FILESZ, 8, filesz);
	put(b, at + P_MEMSZ, 8, memsz);
	put(b, at + P_ALIGN, 8, align);
}

/* Two notes: one to be skipped (its name padded), then the PVH entry point in 8 bytes. */
static inline void put_notes(struct blob b, size_t at)
{
	put(b, at, 4, 3);
	put(b, at + 4, 4, 1);
	put(b, at + 8, 4, 18);
	memcpy(b.bytes + at + 12, "Xe", 3);
	put(b, at + 16, 1, 7);
	put(b, at + 20, 4, 4);
	put(b, at + 24, 4, 8);
	put(b, at + 28, 4, 18);
	memcpy(b.bytes + at + 32, "Xen", 4);
	put(b, at + 36, 8, VMLINUX_PVH);
}

static inline struct blob vmlinux_make(void)
{
	struct blob b = blob_new(VMLINUX_LEN);
	uint32_t x = 1;

	/* Bytes that compress to about half; a page of zeros in the middle of the text. */
	for (size_t i = VMLINUX_TEXT_AT; i < VMLINUX_LEN; i++) {
		x = x * 1664525 + 1013904223;
		b.bytes[i] = (x >> 28) != 0 ? (uint8_t)((x >> 24) & 0x33) : 0x90;
	}
	memset(b.bytes + VMLINUX_TEXT_AT + 0x1000, 0, 0x1000);
	memcpy(b.bytes, "\x7f" "ELF\2\1\1", 7);
	put(b, 16, 2, 2);
	put(b, 18, 2, 62);
	put(b, 20, 4, 1);
	put(b, 24, 8, VMLINUX_ENTRY);
	put(b, 32, 8, PH_TEXT);
	put(b, 52, 2, 64);
	put(b, 54, 2, 56);
	put(b, 56, 2, 3);
	put_phdr(b, PH_TEXT, 1, VMLINUX_TEXT_AT, VMLINUX_TEXT_GPA, VMLINUX_TEXT, VMLINUX_TEXT, 4096);
	put_phdr(b, PH_DATA, 1, VMLINUX_DATA_AT, VMLINUX_DATA_GPA, VMLINUX_DATA, VMLINUX_DATA_MEM,
		 4096);
	put_phdr(b, PH_NOTE, 4, VMLINUX_NOTE_AT, 0, VMLINUX_NOTE, VMLINUX_NOTE, 4);
	put_notes(b, VMLINUX_NOTE_AT);
	return b;
}

/* ---- packing ---- */

static inline struct blob pack_gzip(struct blob in)
{
	struct blob out = blob_new(in.len + 4096);
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = in.bytes;
	z.avail_in = (uInt)in.len;
	z.next_out = out.bytes;
	z.avail_out = (uInt)out.len;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.len = z.total_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
	return out;
}

/* As the kernel's build does it: a branch filter, CRC32. */
static inline struct blob pack_xz(struct blob in)
{
	struct blob out = blob_new(in.len + 4096);
	lzma_options_lzma lzma;
	lzma_filter chain[] = { { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &lzma },
				{ LZMA_VLI_UNKNOWN, NULL } };
	size_t n = 0;

	assert_false(lzma_lzma_preset(&lzma, 1));
	assert_int_equal(lzma_stream_buffer_encode(chain, LZMA_CHECK_CRC32, NULL, in.bytes, in.len,
						   out.bytes, &n, out.len), LZMA_OK);
	out.len = n;
	return out;
}

static inline struct blob pack_lz4(struct blob in)
{
	enum { BLOCK = 8 << 20 };
	struct blob out = blob_new(in.len + in.len / 200 + 4096);
	size_t n = 4;

	put(out, 0, 4, 0x184C2102);
	for (size_t at = 0; at < in.len; at += BLOCK) {
		int part = (int)(in.len - at < BLOCK ? in.len - at : BLOCK);
		int packed = LZ4_compress_default((char *)in.bytes + at, (char *)out.bytes + n + 4,
						  part, (int)(out.len - n - 4));

		assert_true(packed > 0);
		put(out, n, 4, (uint64_t)packed);
		n += 4 + (size_t)packed;
	}
	out.len = n;
	return out;
}

static inline struct blob pack_zstd(struct blob in)
{
	struct blob out = blob_new(ZSTD_compressBound(in.len));
	ZSTD_CCtx *z = ZSTD_createCCtx();

	/* A checksum, as the kernel's build asks for with the command line tool. */
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)));
	out.len = ZSTD_compress2(z, out.bytes, out.len, in.bytes, in.len);
	assert_false(ZSTD_isError(out.len));
	(void)ZSTD_freeCCtx(z);
	return out;
}

static inline struct blob pack(enum packing p, struct blob in)
{
	struct blob loose, exact;

	switch (p) {
	case PACK_GZIP: loose = pack_gzip(in); break;
	case PACK_XZ:   loose = pack_xz(in); break;
	case PACK_LZ4:  loose = pack_lz4(in); break;
	case PACK_ZSTD: loose = pack_zstd(in); break;
	case PACK_NONE:
	case PACK_BZIP2:
	case PACK_LZMA:
	case PACK_LZO:  return blob_cut(in, in.len);
	}
	exact = blob_cut(loose, loose.len);
	free(loose.bytes);
	return exact;
}

/* ---- bzImage ---- */

enum {
	BZ_SETUP = 1024, BZ_PAYLOAD_AT = 0x400, BZ_INIT_SIZE = 0x100000, BZ_PREF = 0x400000,
	BZ_INITRD_MAX = 0x7fffffff,
};

/* The size is appended, except that gzip's own format ends with it. */
static inline struct blob bzimage_wrap(struct blob payload, uint32_t unpacked_len)
{
	size_t len = payload.bytes[0] == 0x1f ? payload.len : payload.len + 4;
	size_t code = (BZ_PAYLOAD_AT + len + 15) / 16 * 16;
	struct blob b = blob_new(BZ_SETUP + code);

	memset(b.bytes + BZ_SETUP, 0xf4, BZ_PAYLOAD_AT);
	memcpy(b.bytes + BZ_SETUP + BZ_PAYLOAD_AT, payload.bytes, payload.len);
	put(b, BZ_SETUP + BZ_PAYLOAD_AT + len - 4, 4, unpacked_len);
	put(b, 0x1f1, 1, 1);
	put(b, 0x1f4, 4, code / 16);
	put(b, 0x1fe, 2, 0xaa55);
	put(b, 0x200, 2, 0x6aeb);
	put(b, 0x202, 4, 0x53726448);
	put(b, 0x206, 2, 0x20f);
	put(b, 0x211, 1, 1);
	put(b, 0x214, 4, 0x100000);
	put(b, 0x22c, 4, BZ_INITRD_MAX);
	put(b, 0x230, 4, 0x200000);
	put(b, 0x234, 1, 1);
	put(b, 0x236, 2, 0x7f);
	put(b, 0x238, 4, 2047);
	put(b, 0x248, 4, BZ_PAYLOAD_AT);
	put(b, 0x24c, 4, len);
	put(b, 0x258, 8, BZ_PREF);
	put(b, 0x260, 4, BZ_INIT_SIZE);
	return b;
}

static inline struct blob bzimage_make(enum packing p)
{
	struct blob vmlinux = vmlinux_make(), payload = pack(p, vmlinux);
	struct blob b = bzimage_wrap(payload, (uint32_t)vmlinux.len);

	free(vmlinux.bytes);
	free(payload.bytes);
	return b;
}

/* ---- spoiling ---- */

struct spoil {
	size_t at;
	unsigned width;
	uint64_t value;
	enum err_code code;
	const char *field;
};
