/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks a compressed kernel in bounded memory.
 *
 * The input is hostile: the output is pushed in order into a sink, in pieces, and stops at the
 * bound, so that a bomb costs no more than an honest kernel; what a library may allocate is
 * bounded too. The formats themselves are read by zlib, liblzma, liblz4 and libzstd. */
#pragma once

#include "base/bytes.h"
#include "base/units.h"

/* How a kernel's payload can be packed. X(name, word) */
#define PACKINGS(X) \
	X(NONE,  "nothing") \
	X(GZIP,  "gzip")    \
	X(XZ,    "xz")      \
	X(LZ4,   "lz4")     \
	X(ZSTD,  "zstd")    \
	X(BZIP2, "bzip2")   \
	X(LZMA,  "lzma")    \
	X(LZO,   "lzo")

enum packing {
#define X(name, word) PACK_##name,
	PACKINGS(X)
#undef X
};
const char *packing_word(enum packing p);

/* Where the output goes. put takes the next n bytes; its error ends the unpacking and is what
 * unpack returns. scratch is UNPACK_SCRATCH bytes of memory to unpack in. */
enum { UNPACK_SCRATCH = 8 << 20 }; /* a block of LZ4 */
struct sink {
	err_t (*put)(void *ctx, const uint8_t *bytes, size_t n, struct diag *d);
	void *ctx;
	uint8_t *scratch;
};

/* The most that may come out, and what that number is, for the message. */
struct unpack_bound {
	bytes_t max;
	const char *what;
};

/* By the first bytes: PACK_NONE is an ELF file as it is. ERR_DECOMPRESS for none of these. */
must_check err_t packing_of(struct cur in, struct diag *d, enum packing *ret);

/* All of `in` is one packed kernel. ERR_DECOMPRESS when it is damaged, is followed by something
 * else, exceeds the bound or is in a format that is named but not supported. */
must_check err_t unpack(enum packing p, struct cur in, struct unpack_bound bound,
			const struct sink *to, struct diag *d, bytes_t *ret_len);

/* One per format; unpack chooses. */
must_check err_t unpack_none(struct cur in, struct unpack_bound bound, const struct sink *to,
			     struct diag *d, bytes_t *ret_len);
must_check err_t unpack_gzip(struct cur in, struct unpack_bound bound, const struct sink *to,
			     struct diag *d, bytes_t *ret_len);
must_check err_t unpack_xz(struct cur in, struct unpack_bound bound, const struct sink *to,
			   struct diag *d, bytes_t *ret_len);
must_check err_t unpack_lz4(struct cur in, struct unpack_bound bound, const struct sink *to,
			    struct diag *d, bytes_t *ret_len);
must_check err_t unpack_zstd(struct cur in, struct unpack_bound bound, const struct sink *to,
			     struct diag *d, bytes_t *ret_len);
