/* SPDX-License-Identifier: Apache-2.0 */
/* zstd (RFC 8878), one frame. The window is the memory it takes; `zstd -22`, which kernels are
 * packed with, uses 128 MiB. */
#include <zstd.h>
#include <zstd_errors.h>

#include "wire/decompress_flow.h"

enum { WINDOW_LOG_MAX = 27 };

static void stream_drop(ZSTD_DCtx **z)
{
	(void)ZSTD_freeDCtx(*z);
}

static err_t zstd_refuse(size_t status, struct diag *d)
{
	ZSTD_ErrorCode code = ZSTD_getErrorCode(status);

	if (code == ZSTD_error_memory_allocation)
		return FAIL(ERR_NOMEM);
	if (code == ZSTD_error_frameParameter_windowTooLarge)
		return flow_memory(d, "zstd", UINT64_C(1) << WINDOW_LOG_MAX);
	return flow_damaged(d, "zstd", ZSTD_getErrorString(code));
}

err_t unpack_zstd(struct cur in, struct unpack_bound bound, const struct sink *to,
		  struct diag *d, bytes_t *ret_len)
{
	struct outflow f = { bound, to, d, 0 };
	__attribute__((cleanup(stream_drop))) ZSTD_DCtx *z = ZSTD_createDCtx();
	uint8_t *piece = to->scratch;
	ZSTD_inBuffer from = { in.at, cur_left(&in), 0 };
	size_t status = 1;

	if (z == NULL ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		return FAIL(ERR_NOMEM);
	while (status != 0) {
		ZSTD_outBuffer out = { piece, FLOW_PIECE, 0 };

		status = ZSTD_decompressStream(z, &out, &from);
		if (ZSTD_isError(status))
			return zstd_refuse(status, d);
		TRY(outflow_put(&f, piece, out.pos));
		/* Not at the end, nothing left to read, and room was left in the piece. */
		if (status != 0 && from.pos == from.size && out.pos < FLOW_PIECE)
			return flow_truncated(d, "zstd");
	}
	if (from.pos != from.size)
		return flow_trailing(d, "zstd", from.size - from.pos);
	*ret_len = BYTES(f.len);
	return OK;
}
