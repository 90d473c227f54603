/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/field.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static err_t field_refuse(struct fields *f, err_t e, const char *name, const char *why)
{
	diag_offset(f->d, (uint64_t)(f->last - f->start));
	return diag_field(f->d, e, f->section, name, "%s", why);
}

err_t field_bad(struct fields *f, enum err_code code, const char *name, const char *fmt, ...)
{
	char why[160];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	return field_refuse(f, FAIL(code), name, why);
}

static err_t field_over(struct fields *f, const char *name, uint64_t v, uint64_t max)
{
	return field_bad(f, ERR_RANGE, name, "is %" PRIu64 ", expected at most %" PRIu64, v, max);
}

err_t field_take(struct fields *f, const char *name, size_t n, struct cur *ret_box)
{
	err_t e;

	f->last = f->in.at;
	e = cur_take(&f->in, n, ret_box);
	if (failed(e))
		return field_bad(f, e.code, name, "needs %zu bytes, %zu are left", n,
				 cur_left(&f->in));
	return OK;
}

err_t field_bytes(struct fields *f, const char *name, void *ret, size_t n)
{
	struct cur box;

	TRY(field_take(f, name, n, &box));
	if (n != 0)
		memcpy(ret, box.at, n);
	return OK;
}

err_t field_u8(struct fields *f, const char *name, uint8_t max, uint8_t *ret)
{
	uint8_t v;
	struct cur box;

	TRY(field_take(f, name, sizeof v, &box));
	TRY(cur_u8(&box, &v));
	if (v > max)
		return field_over(f, name, v, max);
	*ret = v;
	return OK;
}

err_t field_u16(struct fields *f, const char *name, uint16_t max, uint16_t *ret)
{
	uint16_t v;
	struct cur box;

	TRY(field_take(f, name, sizeof v, &box));
	TRY(cur_u16(&box, &v));
	if (v > max)
		return field_over(f, name, v, max);
	*ret = v;
	return OK;
}

err_t field_u32(struct fields *f, const char *name, uint32_t max, uint32_t *ret)
{
	uint32_t v;
	struct cur box;

	TRY(field_take(f, name, sizeof v, &box));
	TRY(cur_u32(&box, &v));
	if (v > max)
		return field_over(f, name, v, max);
	*ret = v;
	return OK;
}

err_t field_u64(struct fields *f, const char *name, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	struct cur box;

	TRY(field_take(f, name, sizeof v, &box));
	TRY(cur_u64(&box, &v));
	if (v > max)
		return field_over(f, name, v, max);
	*ret = v;
	return OK;
}

err_t field_i64(struct fields *f, const char *name, int64_t *ret)
{
	uint64_t v;

	TRY(field_u64(f, name, UINT64_MAX, &v));
	memcpy(ret, &v, sizeof v); /* two's complement, as written */
	return OK;
}

err_t field_bool(struct fields *f, const char *name, bool *ret)
{
	uint8_t v;

	TRY(field_u8(f, name, 1, &v));
	*ret = v == 1;
	return OK;
}

err_t field_reserved(struct fields *f, size_t n)
{
	struct cur box;
	err_t e;

	TRY(field_take(f, "reserved", n, &box));
	e = cur_zero(&box, n);
	return failed(e) ? field_refuse(f, e, "reserved", "must be zero") : OK;
}

err_t field_count(struct fields *f, const char *name, uint32_t max, size_t each, uint32_t *ret)
{
	uint32_t n;

	TRY(field_u32(f, name, max, &n));
	if (n > cur_left(&f->in) / each)
		return field_bad(f, ERR_TRUNCATED, name,
				 "is %" PRIu32 ", more than the rest of the section can hold", n);
	*ret = n;
	return OK;
}

err_t field_string(struct fields *f, const char *name, char *ret, size_t size)
{
	const uint8_t *start = f->in.at;
	struct cur box;
	uint16_t n;

	TRY(field_u16(f, name, UINT16_MAX, &n));
	if (n >= size)
		return field_over(f, name, n, size - 1);
	TRY(field_take(f, name, n, &box));
	f->last = start;
	if (!utf8_ok(box.at, n))
		return field_refuse(f, FAIL(ERR_RANGE), name, "is not UTF-8 without NUL");
	if (n != 0)
		memcpy(ret, box.at, n);
	ret[n] = '\0';
	return OK;
}

err_t field_done(struct fields *f)
{
	err_t e = cur_done(&f->in);

	f->last = f->in.at;
	if (failed(e))
		return field_bad(f, e.code, "end", "%zu bytes are left over", cur_left(&f->in));
	return OK;
}

void out_string(struct out *o, const char *s)
{
	size_t n = strlen(s);

	if (n > UINT16_MAX) {
		o->overrun = true;
		return;
	}
	out_u16(o, (uint16_t)n);
	out_bytes(o, s, n);
}

/* Length of the sequence that `lead` begins and the allowed range of its second byte, which is
 * where overlong forms, surrogates and too large numbers show. 0: not a lead byte. */
static size_t utf8_sequence(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	*ret_high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 3;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 4;
	return 0;
}

bool utf8_ok(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint8_t low, high;
		size_t len;

		if (bytes[i] < 0x80) {
			if (bytes[i++] == 0)
				return false;
			continue;
		}
		len = utf8_sequence(bytes[i], &low, &high);
		if (len == 0 || len > n - i || bytes[i + 1] < low || bytes[i + 1] > high)
			return false;
		for (size_t k = 2; k < len; k++)
			if ((bytes[i + k] & 0xC0) != 0x80)
				return false;
		i += len;
	}
	return true;
}
