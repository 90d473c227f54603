/* SPDX-License-Identifier: Apache-2.0 */
/* xz, one stream. The dictionary is the memory it takes: Debian's kernels use 32 MiB, upstream's
 * newest build rules 128 MiB. */
#include <lzma.h>

#include "wire/decompress_flow.h"

#define XZ_MEMORY_MAX MIB(160)

static err_t xz_refuse(lzma_ret status, struct diag *d)
{
	/* Only these are possible for a decoder; the header says what else there is. */
	if (status == LZMA_BUF_ERROR)
		return flow_truncated(d, "xz");
	if (status == LZMA_MEM_ERROR)
		return FAIL(ERR_NOMEM);
	if (status == LZMA_MEMLIMIT_ERROR)
		return flow_memory(d, "xz", XZ_MEMORY_MAX);
	if (status == LZMA_OPTIONS_ERROR)
		return flow_damaged(d, "xz", "options that are not supported");
	return flow_damaged(d, "xz", status == LZMA_FORMAT_ERROR ? "bad header" : "bad contents");
}

err_t unpack_xz(struct cur in, struct unpack_bound bound, const struct sink *to,
		struct diag *d, bytes_t *ret_len)
{
	struct outflow f = { bound, to, d, 0 };
	__attribute__((cleanup(lzma_end))) lzma_stream x = LZMA_STREAM_INIT;
	uint8_t *piece = to->scratch;
	lzma_ret status = LZMA_OK;

	if (lzma_stream_decoder(&x, XZ_MEMORY_MAX, 0) != LZMA_OK)
		return FAIL(ERR_NOMEM);
	x.next_in = in.at;
	x.avail_in = cur_left(&in);
	/* lzma_code makes progress or, the second time, says LZMA_BUF_ERROR. */
	while (status != LZMA_STREAM_END) {
		x.next_out = piece;
		x.avail_out = FLOW_PIECE;
		status = lzma_code(&x, LZMA_FINISH);
		if (status != LZMA_OK && status != LZMA_STREAM_END)
			return xz_refuse(status, d);
		TRY(outflow_put(&f, piece, FLOW_PIECE - x.avail_out));
	}
	if (x.avail_in != 0)
		return flow_trailing(d, "xz", x.avail_in);
	*ret_len = BYTES(f.len);
	return OK;
}
