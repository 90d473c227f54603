/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <endian.h>
#include <string.h>

static _Thread_local uint64_t steps;

uint64_t bytes_steps(void)
{
	return steps;
}

err_t cur_take(struct cur *c, size_t n, struct cur *ret_box)
{
	steps++;
	if (cur_left(c) < n)
		return FAIL(ERR_TRUNCATED);
	*ret_box = cur_of(c->at, n);
	c->at = ret_box->end;
	return OK;
}

err_t cur_bytes(struct cur *c, void *ret, size_t n)
{
	struct cur box;

	TRY(cur_take(c, n, &box));
	if (n != 0)
		memcpy(ret, box.at, n);
	return OK;
}

err_t cur_u8(struct cur *c, uint8_t *ret)
{
	return cur_bytes(c, ret, sizeof *ret);
}

err_t cur_u16(struct cur *c, uint16_t *ret)
{
	uint16_t le;

	TRY(cur_bytes(c, &le, sizeof le));
	*ret = le16toh(le);
	return OK;
}

err_t cur_u32(struct cur *c, uint32_t *ret)
{
	uint32_t le;

	TRY(cur_bytes(c, &le, sizeof le));
	*ret = le32toh(le);
	return OK;
}

err_t cur_u64(struct cur *c, uint64_t *ret)
{
	uint64_t le;

	TRY(cur_bytes(c, &le, sizeof le));
	*ret = le64toh(le);
	return OK;
}

err_t cur_zero(struct cur *c, size_t n)
{
	struct cur box, before = *c;

	TRY(cur_take(c, n, &box));
	/* The first is zero and each equals its neighbour: the C library's memcmp is vectorised. */
	if (n == 0 || (box.at[0] == 0 && memcmp(box.at, box.at + 1, n - 1) == 0))
		return OK;
	*c = before;
	return FAIL(ERR_RESERVED);
}

err_t cur_done(const struct cur *c)
{
	return c->at == c->end ? OK : FAIL(ERR_TRAILING);
}

void out_bytes(struct out *o, const void *bytes, size_t n)
{
	if (o->overrun || o->cap - o->len < n) {
		o->overrun = true;
		return;
	}
	if (n != 0)
		memcpy(o->base + o->len, bytes, n);
	o->len += n;
}

void out_u8(struct out *o, uint8_t v)
{
	out_bytes(o, &v, sizeof v);
}

void out_u16(struct out *o, uint16_t v)
{
	v = htole16(v);
	out_bytes(o, &v, sizeof v);
}

void out_u32(struct out *o, uint32_t v)
{
	v = htole32(v);
	out_bytes(o, &v, sizeof v);
}

void out_u64(struct out *o, uint64_t v)
{
	v = htole64(v);
	out_bytes(o, &v, sizeof v);
}

void out_zero(struct out *o, size_t n)
{
	if (o->overrun || o->cap - o->len < n) {
		o->overrun = true;
		return;
	}
	if (n != 0)
		memset(o->base + o->len, 0, n);
	o->len += n;
}

void out_align(struct out *o, size_t align)
{
	size_t over = o->len % align;

	if (over != 0)
		out_zero(o, align - over);
}

err_t out_done(const struct out *o)
{
	return o->overrun ? FAIL(ERR_SIZE) : OK;
}
