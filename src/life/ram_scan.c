/* SPDX-License-Identifier: Apache-2.0 */
#include "life/ram_scan.h"

#include <string.h>

#include "base/heap.h"
#include "wire/sections.h"

/* Every byte equals its neighbour and the first is zero: the C library's memcmp is vectorised. */
static bool is_zero(const uint8_t *bytes)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, RAM_BLOCK - 1) == 0;
}

static err_t scan_block(void *ctx, uint64_t index, const uint8_t *bytes, bool in_place)
{
	struct ram_scan *s = ctx;

	(void)in_place;
	if (is_zero(bytes))
		return OK;
	s->bits[index / 8] |= (uint8_t)(1u << (index % 8));
	s->present++;
	return OK;
}

void ram_scan_sum(struct ram_scan *s, const uint8_t *block)
{
	assert(s->summed < s->present);
	s->sums[s->summed++] = crc64(block, RAM_BLOCK);
}

err_t ram_scan_make(const struct ram *r, uint64_t blocks, struct quiesced q, struct diag *d,
		    struct ram_scan *ret)
{
	struct ram_scan s = { .blocks = blocks, .bits = calloc(1, (blocks + 7) / 8) };
	err_t e;

	if (s.bits == NULL)
		return FAIL(ERR_NOMEM);
	e = ram_walk(r, q, d, (struct ram_visitor){ .block = scan_block, .ctx = &s });
	if (!failed(e)) {
		s.sums = calloc(s.present + 1, sizeof s.sums[0]);
		e = s.sums == NULL ? FAIL(ERR_NOMEM) : OK;
	}
	if (failed(e)) {
		ram_scan_drop(&s);
		return e;
	}
	*ret = s;
	return OK;
}

err_t ram_scan_none(uint64_t blocks, struct ram_scan *ret)
{
	struct ram_scan s = { .blocks = blocks, .bits = calloc(1, (blocks + 7) / 8) };

	if (s.bits == NULL)
		return FAIL(ERR_NOMEM);
	*ret = s;
	return OK;
}

void ram_scan_drop(struct ram_scan *s)
{
	free(s->bits);
	free(s->sums);
	*s = (struct ram_scan){ 0 };
}
