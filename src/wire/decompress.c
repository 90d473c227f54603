/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/decompress_flow.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	enum packing packing;
	size_t n;
	const char *magic;
} magics[] = {
	{ PACK_NONE,  4, "\x7f" "ELF" },
	{ PACK_GZIP,  2, "\x1f\x8b" },
	{ PACK_XZ,    6, "\xfd" "7zXZ\0" },
	{ PACK_LZ4,   4, "\x02\x21\x4c\x18" }, /* the legacy frame, which is what kernels use */
	{ PACK_ZSTD,  4, "\x28\xb5\x2f\xfd" },
	{ PACK_BZIP2, 3, "BZh" },
	{ PACK_LZMA,  3, "\x5d\0\0" },
	{ PACK_LZO,   9, "\x89LZO\0\r\n\x1a\n" },
};

const char *packing_word(enum packing p)
{
	switch (p) {
#define X(name, word) case PACK_##name: return word;
	PACKINGS(X)
#undef X
	}
	unreachable_by_type();
}

err_t packing_of(struct cur in, struct diag *d, enum packing *ret)
{
	uint32_t first = 0;

	for (size_t i = 0; i < countof(magics); i++) {
		if (cur_left(&in) >= magics[i].n &&
		    memcmp(in.at, magics[i].magic, magics[i].n) == 0) {
			*ret = magics[i].packing;
			return OK;
		}
	}
	if (failed(cur_u32(&in, &first)))
		return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "magic",
				  "%zu bytes, too few to tell how it is packed", cur_left(&in));
	return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "magic",
			  "%#010" PRIx32 " is no known compression, expected gzip, xz, lz4 or zstd",
			  first);
}

err_t unpack(enum packing p, struct cur in, struct unpack_bound bound, const struct sink *to,
	     struct diag *d, bytes_t *ret_len)
{
	switch (p) {
	case PACK_NONE: return unpack_none(in, bound, to, d, ret_len);
	case PACK_GZIP: return unpack_gzip(in, bound, to, d, ret_len);
	case PACK_XZ:   return unpack_xz(in, bound, to, d, ret_len);
	case PACK_LZ4:  return unpack_lz4(in, bound, to, d, ret_len);
	case PACK_ZSTD: return unpack_zstd(in, bound, to, d, ret_len);
	case PACK_BZIP2:
	case PACK_LZMA:
	case PACK_LZO:
		return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "magic",
				  "compressed with %s, which Debian does not use; "
				  "expected gzip, xz, lz4 or zstd", packing_word(p));
	}
	unreachable_by_type();
}

err_t unpack_none(struct cur in, struct unpack_bound bound, const struct sink *to,
		  struct diag *d, bytes_t *ret_len)
{
	struct outflow f = { bound, to, d, 0 };

	TRY(outflow_put(&f, in.at, cur_left(&in)));
	*ret_len = BYTES(f.len);
	return OK;
}

err_t outflow_put(struct outflow *f, const uint8_t *bytes, size_t n)
{
	if (n > f->bound.max.v - f->len)
		return diag_field(f->d, FAIL(ERR_DECOMPRESS), "payload", "length",
				  "unpacks to more than %" PRIu64 " bytes, which is %s",
				  f->bound.max.v, f->bound.what);
	f->len += n;
	return n == 0 ? OK : f->to->put(f->to->ctx, bytes, n, f->d);
}

err_t flow_damaged(struct diag *d, const char *format, const char *how)
{
	return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "data", "damaged %s data: %s", format,
			  how);
}

err_t flow_truncated(struct diag *d, const char *format)
{
	return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "data", "the %s data ends too early",
			  format);
}

err_t flow_trailing(struct diag *d, const char *format, size_t n)
{
	return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "data",
			  "%zu bytes follow the end of the %s data", n, format);
}

err_t flow_memory(struct diag *d, const char *format, uint64_t limit)
{
	return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "data",
			  "unpacking the %s data takes more than %" PRIu64 " MiB of memory", format,
			  limit >> 20);
}
