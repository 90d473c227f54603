/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952), one member. zlib's memory is fixed: a window of 32 KiB. */
#include <zlib.h>

#include "wire/decompress_flow.h"

enum { WINDOW_BITS = 15, GZIP_ONLY = 16 };

static void stream_drop(z_stream *z)
{
	(void)inflateEnd(z);
}

static err_t gzip_refuse(int status, const z_stream *z, struct diag *d)
{
	if (status == Z_BUF_ERROR)
		return flow_truncated(d, "gzip");
	if (status == Z_MEM_ERROR)
		return FAIL(ERR_NOMEM);
	return flow_damaged(d, "gzip", z->msg != NULL ? z->msg : "unexpected dictionary");
}

err_t unpack_gzip(struct cur in, struct unpack_bound bound, const struct sink *to,
		  struct diag *d, bytes_t *ret_len)
{
	struct outflow f = { bound, to, d, 0 };
	__attribute__((cleanup(stream_drop))) z_stream z = { 0 };
	uint8_t *piece = to->scratch;
	int status = Z_OK;

	if (cur_left(&in) > UINT32_MAX)
		return FAIL(ERR_SIZE);
	z.next_in = (z_const uint8_t *)in.at;
	z.avail_in = (uInt)cur_left(&in);
	if (inflateInit2(&z, WINDOW_BITS + GZIP_ONLY) != Z_OK)
		return FAIL(ERR_NOMEM);
	/* inflate makes progress or says Z_BUF_ERROR. */
	while (status != Z_STREAM_END) {
		z.next_out = piece;
		z.avail_out = FLOW_PIECE;
		status = inflate(&z, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END)
			return gzip_refuse(status, &z, d);
		TRY(outflow_put(&f, piece, FLOW_PIECE - z.avail_out));
	}
	if (z.avail_in != 0)
		return flow_trailing(d, "gzip", z.avail_in);
	*ret_len = BYTES(f.len);
	return OK;
}
