/* SPDX-License-Identifier: Apache-2.0 */
/* The legacy LZ4 frame (lz4_Frame_format.md, "Legacy frame"): the magic, then blocks that unpack
 * on their own to at most 8 MiB, each after its packed size. There is no end mark and no checksum:
 * the data ends where the payload ends. The magic may come again between blocks. */
#include <lz4.h>

#include "wire/decompress_flow.h"

#define LZ4_LEGACY_MAGIC UINT32_C(0x184C2102)
enum {
	BLOCK_MAX = 8 << 20,
	PACKED_MAX = LZ4_COMPRESSBOUND(BLOCK_MAX),
};
static_assert((int)BLOCK_MAX == (int)UNPACK_SCRATCH, "a block fits into the scratch memory");

static err_t block_unpack(struct cur packed, uint8_t *block, struct outflow *f)
{
	int n = LZ4_decompress_safe((const char *)packed.at, (char *)block, (int)cur_left(&packed),
				    BLOCK_MAX);

	if (n < 0)
		return flow_damaged(f->d, "lz4", "bad block");
	return outflow_put(f, block, (size_t)n);
}

static err_t blocks_unpack(struct cur in, uint8_t *block, struct outflow *f)
{
	uint32_t n;
	struct cur packed;

	if (failed(cur_u32(&in, &n)) || n != LZ4_LEGACY_MAGIC)
		return flow_damaged(f->d, "lz4", "bad magic");
	while (cur_left(&in) != 0) {
		if (failed(cur_u32(&in, &n)))
			return flow_truncated(f->d, "lz4");
		if (n == LZ4_LEGACY_MAGIC)
			continue;
		if (n == 0 || n > PACKED_MAX)
			return flow_damaged(f->d, "lz4", "a block size that cannot be");
		if (failed(cur_take(&in, n, &packed)))
			return flow_truncated(f->d, "lz4");
		TRY(block_unpack(packed, block, f));
	}
	return OK;
}

err_t unpack_lz4(struct cur in, struct unpack_bound bound, const struct sink *to,
		 struct diag *d, bytes_t *ret_len)
{
	struct outflow f = { bound, to, d, 0 };

	TRY(blocks_unpack(in, to->scratch, &f));
	*ret_len = BYTES(f.len);
	return OK;
}
