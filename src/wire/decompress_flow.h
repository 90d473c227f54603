/* SPDX-License-Identifier: Apache-2.0 */
/* What the decompressors share: the way out, which keeps the bound, and their sentences. Only
 * for decompress*.c. */
#pragma once

#include "wire/decompress.h"

struct outflow {
	struct unpack_bound bound;
	const struct sink *to;
	struct diag *d;
	uint64_t len; /* came out so far */
};

/* A piece of output of the streaming formats: part of the scratch memory, so that it stays in the
 * processor's cache. */
enum { FLOW_PIECE = 256 * 1024 };
static_assert((int)FLOW_PIECE <= (int)UNPACK_SCRATCH, "a piece fits");

/* Hands n bytes on, unless that is more than may come out. */
must_check err_t outflow_put(struct outflow *f, const uint8_t *bytes, size_t n);

/* The same few refusals for every format. */
err_t flow_damaged(struct diag *d, const char *format, const char *how);
err_t flow_truncated(struct diag *d, const char *format);
err_t flow_trailing(struct diag *d, const char *format, size_t n);
err_t flow_memory(struct diag *d, const char *format, uint64_t limit);
