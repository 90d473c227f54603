/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking: every format gives the same bytes, and damage, bombs and greed are refused. */
#include "wire/decompress.h"

#include "unit/wire/kernel_images.h"

static const enum packing packings[] = { PACK_GZIP, PACK_XZ, PACK_LZ4, PACK_ZSTD };

/* A sink that keeps what comes, or from some point on refuses it. */
struct kept {
	struct blob b;
	size_t len;
	size_t refuse_after;
};

static err_t keep(void *ctx, const uint8_t *bytes, size_t n, struct diag *d)
{
	struct kept *k = ctx;

	if (k->len + n > k->refuse_after)
		return diag_fail(d, FAIL(ERR_GUEST_MEMORY), "the sink is full");
	assert_true(k->len + n <= k->b.len);
	memcpy(k->b.bytes + k->len, bytes, n);
	k->len += n;
	return OK;
}

static err_t unpack_to(enum packing p, struct blob in, size_t max, struct kept *k, struct diag *d,
		       bytes_t *ret_len)
{
	struct unpack_bound bound = { BYTES(max), "what the test allows" };
	static uint8_t scratch[UNPACK_SCRATCH];
	struct sink to = { keep, k, scratch };

	return unpack(p, blob_cur(in), bound, &to, d, ret_len);
}

static struct kept kept_new(size_t n)
{
	return (struct kept){ .b = blob_new(n), .refuse_after = SIZE_MAX };
}

/* 9 MiB: two blocks of LZ4, many pieces of the others. */
static struct blob big(void)
{
	struct blob b = blob_new(9 << 20);
	uint32_t x = 7;

	for (size_t i = 0; i < b.len; i++) {
		x = x * 1664525 + 1013904223;
		b.bytes[i] = (i >> 12) % 3 == 0 ? 0 : (uint8_t)(x >> 30);
	}
	return b;
}

static void same_bytes(void **state)
{
	struct blob b = big();

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], b);
		struct kept k = kept_new(b.len);
		struct diag d = DIAG_INIT;
		enum packing p = PACK_NONE;
		bytes_t len = BYTES(0);

		assert_int_equal(packing_of(blob_cur(packed), &d, &p).code, ERR_NONE);
		assert_int_equal(p, packings[i]);
		if (failed(unpack_to(p, packed, b.len, &k, &d, &len)))
			fail_msg("%s: %s", packing_word(p), d.text);
		assert_int_equal(len.v, b.len);
		assert_int_equal(k.len, b.len);
		assert_memory_equal(k.b.bytes, b.bytes, b.len);
		free(packed.bytes);
		free(k.b.bytes);
	}
	free(b.bytes);
}

/* One byte less than comes out is refused, by the bound's name, and nothing past it came. */
static void bound_kept(void **state)
{
	struct blob b = big();
	static const enum packing all[] = { PACK_NONE, PACK_GZIP, PACK_XZ, PACK_LZ4, PACK_ZSTD };

	(void)state;
	for (size_t i = 0; i < countof(all); i++) {
		struct blob packed = pack(all[i], b);
		struct kept k = kept_new(b.len);
		struct diag d = DIAG_INIT;
		bytes_t len = BYTES(77);

		assert_int_equal(unpack_to(all[i], packed, b.len - 1, &k, &d, &len).code, ERR_DECOMPRESS);
		assert_non_null(strstr(d.text, "what the test allows"));
		assert_string_equal(d.section, "payload");
		assert_int_equal(len.v, 77);
		assert_true(k.len < b.len);
		free(packed.bytes);
		free(k.b.bytes);
	}
	free(b.bytes);
}

/* 32 MiB of zeros, packed two hundredfold and more: stops at 1 MiB. */
static void bomb(void **state)
{
	struct blob zeros = blob_new(32 << 20);

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], zeros);
		struct kept k = kept_new(1 << 20);
		struct diag d = DIAG_INIT;
		bytes_t len;

		assert_true(packed.len < zeros.len / 200);
		assert_int_equal(unpack_to(packings[i], packed, 1 << 20, &k, &d, &len).code, ERR_DECOMPRESS);
		assert_non_null(strstr(d.text, "more than 1048576 bytes"));
		free(packed.bytes);
		free(k.b.bytes);
	}
	free(zeros.bytes);
}

static void sink_error_is_passed_on(void **state)
{
	struct blob v = vmlinux_make();

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], v);
		struct kept k = { .refuse_after = 0 };
		bytes_t len;

		assert_int_equal(unpack_to(packings[i], packed, v.len, &k, NULL, &len).code,
				 ERR_GUEST_MEMORY);
		free(packed.bytes);
	}
	free(v.bytes);
}

/* Cut anywhere it is refused, but LZ4 has no end mark: there a cut between blocks gives less, which
 * the size after the payload tells. */
static void truncations(void **state)
{
	struct blob v = vmlinux_make();

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], v);

		for (size_t n = 0; n < packed.len; n += n < 512 || n + 512 > packed.len ? 1 : 7) {
			struct blob cut = blob_cut(packed, n);
			struct kept k = kept_new(v.len);
			bytes_t len = BYTES(77);
			err_t e = unpack_to(packings[i], cut, v.len, &k, NULL, &len);

			if (packings[i] == PACK_LZ4 && n == 4)
				assert_true(!failed(e) && len.v == 0);
			else
				assert_int_equal(e.code, ERR_DECOMPRESS);
			free(cut.bytes);
			free(k.b.bytes);
		}
		free(packed.bytes);
	}
	free(v.bytes);
}

static void trailing_bytes(void **state)
{
	struct blob v = vmlinux_make();

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], v), longer = blob_new(packed.len + 1);
		struct kept k = kept_new(v.len);
		bytes_t len;

		memcpy(longer.bytes, packed.bytes, packed.len);
		assert_int_equal(unpack_to(packings[i], longer, v.len, &k, NULL, &len).code,
				 ERR_DECOMPRESS);
		free(packed.bytes);
		free(longer.bytes);
		free(k.b.bytes);
	}
	free(v.bytes);
}

/* Each bit of the first bytes, then bits all over: never more than the bound, and where the
 * format has a checksum never other bytes. */
static void bit_flips(void **state)
{
	struct blob v = vmlinux_make();

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob packed = pack(packings[i], v);
		size_t refused = 0, tried = 0;

		for (size_t bit = 0; bit < packed.len * 8; bit += bit < 512 ? 1 : 97) {
			struct blob spoilt = blob_cut(packed, packed.len);
			struct kept k = kept_new(v.len);
			bytes_t len;

			spoilt.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			tried++;
			if (failed(unpack_to(packings[i], spoilt, v.len, &k, NULL, &len)))
				refused++;
			else if (packings[i] != PACK_LZ4)
				assert_memory_equal(k.b.bytes, v.bytes, v.len);
			free(spoilt.bytes);
			free(k.b.bytes);
		}
		assert_true(tried > 1000);
		assert_true(refused > tried / (packings[i] == PACK_LZ4 ? 20 : 2));
		free(packed.bytes);
	}
	free(v.bytes);
}

/* A dictionary of 1.5 GiB is asked for in the block header, its checksum mended. */
static void xz_memory(void **state)
{
	enum { BLOCK_HEADER = 12, DICT_1536_MIB = 37 };
	struct blob v = vmlinux_make(), packed = pack(PACK_XZ, v);
	uint8_t *header = packed.bytes + BLOCK_HEADER, *lzma2;
	size_t size = ((size_t)header[0] + 1) * 4 - 4;
	struct kept k = kept_new(v.len);
	struct diag d = DIAG_INIT;
	bytes_t len;

	(void)state;
	/* LZMA2's id, then one byte of properties. */
	lzma2 = memmem(header + 2, size - 2, "\x21\x01", 2);
	assert_non_null(lzma2);
	lzma2[2] = DICT_1536_MIB;
	put(packed, BLOCK_HEADER + size, 4, lzma_crc32(header, size, 0));
	assert_int_equal(unpack_to(PACK_XZ, packed, v.len, &k, &d, &len).code, ERR_DECOMPRESS);
	assert_non_null(strstr(d.text, "160 MiB of memory"));
	free(v.bytes);
	free(packed.bytes);
	free(k.b.bytes);
}

/* A window of 256 MiB, twice what is allowed; one of 128 MiB is. */
static void zstd_memory(void **state)
{
	/* Magic, a descriptor without a content size, the window, one raw last block of 1 byte. */
	uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (28 - 10) << 3, 1 | 1 << 3, 0, 0, 'x' };
	struct blob in = { frame, sizeof frame };
	struct kept k = kept_new(1);
	struct diag d = DIAG_INIT;
	bytes_t len;

	(void)state;
	assert_int_equal(unpack_to(PACK_ZSTD, in, 1, &k, &d, &len).code, ERR_DECOMPRESS);
	assert_non_null(strstr(d.text, "128 MiB of memory"));
	frame[5] = (27 - 10) << 3;
	assert_int_equal(unpack_to(PACK_ZSTD, in, 1, &k, NULL, &len).code, ERR_NONE);
	assert_int_equal(len.v, 1);
	assert_int_equal(k.b.bytes[0], 'x');
	free(k.b.bytes);
}

static void lz4_blocks(void **state)
{
	struct blob v = vmlinux_make(), packed = pack(PACK_LZ4, v), twice = blob_new(2 * packed.len);
	struct kept k = kept_new(2 * v.len);
	struct diag d = DIAG_INIT;
	bytes_t len;

	(void)state;
	/* A second frame may follow: its magic is no block size. */
	memcpy(twice.bytes, packed.bytes, packed.len);
	memcpy(twice.bytes + packed.len, packed.bytes, packed.len);
	assert_int_equal(unpack_to(PACK_LZ4, twice, 2 * v.len, &k, NULL, &len).code, ERR_NONE);
	assert_int_equal(len.v, 2 * v.len);
	assert_memory_equal(k.b.bytes + v.len, v.bytes, v.len);
	put(packed, 4, 4, 0);
	assert_int_equal(unpack_to(PACK_LZ4, packed, v.len, &k, &d, &len).code, ERR_DECOMPRESS);
	assert_non_null(strstr(d.text, "block size"));
	put(packed, 4, 4, UINT32_MAX);
	assert_int_equal(unpack_to(PACK_LZ4, packed, v.len, &k, NULL, &len).code, ERR_DECOMPRESS);
	free(v.bytes);
	free(packed.bytes);
	free(twice.bytes);
	free(k.b.bytes);
}

static void named_but_not_supported(void **state)
{
	static const struct { const char *magic; size_t n; const char *word; } rows[] = {
		{ "BZh91AY&SY", 10, "bzip2" },
		{ "\x5d\0\0\0\4", 5, "lzma" },
		{ "\x89LZO\0\r\n\x1a\n", 9, "lzo" },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct blob in = blob_new(rows[i].n);
		struct diag d = DIAG_INIT;
		enum packing p = PACK_NONE;
		struct kept k = { .refuse_after = 0 };
		bytes_t len;

		memcpy(in.bytes, rows[i].magic, rows[i].n);
		assert_int_equal(packing_of(blob_cur(in), NULL, &p).code, ERR_NONE);
		assert_string_equal(packing_word(p), rows[i].word);
		assert_int_equal(unpack_to(p, in, 1, &k, &d, &len).code, ERR_DECOMPRESS);
		assert_non_null(strstr(d.text, "which Debian does not use"));
		assert_non_null(strstr(d.text, rows[i].word));
		free(in.bytes);
	}
}

static void unknown_magic(void **state)
{
	uint8_t bytes[] = { 0x04, 0x22, 0x4d, 0x18 }; /* the LZ4 frame that is not legacy */
	struct diag d = DIAG_INIT;
	enum packing p = PACK_LZO;

	(void)state;
	assert_int_equal(packing_of(cur_of(bytes, sizeof bytes), &d, &p).code, ERR_DECOMPRESS);
	assert_non_null(strstr(d.text, "0x184d2204"));
	assert_string_equal(d.field, "magic");
	assert_int_equal(packing_of(cur_of(bytes, 1), NULL, &p).code, ERR_DECOMPRESS);
	assert_int_equal(packing_of(cur_of(bytes, 0), NULL, &p).code, ERR_DECOMPRESS);
	assert_int_equal(p, PACK_LZO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes), cmocka_unit_test(bound_kept), cmocka_unit_test(bomb),
		cmocka_unit_test(sink_error_is_passed_on), cmocka_unit_test(truncations),
		cmocka_unit_test(trailing_bytes), cmocka_unit_test(bit_flips),
		cmocka_unit_test(xz_memory), cmocka_unit_test(zstd_memory),
		cmocka_unit_test(lz4_blocks), cmocka_unit_test(named_but_not_supported),
		cmocka_unit_test(unknown_magic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
