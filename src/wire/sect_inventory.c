/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "wire/field.h"
#include "wire/sections.h"

static err_t caps_parse(struct fields *f, struct inventory *v)
{
	for (uint32_t i = 0; i < v->n_caps; i++) {
		TRY(field_u32(f, "cap", UINT32_MAX, &v->caps[i]));
		if (i > 0 && v->caps[i] <= v->caps[i - 1])
			return field_bad(f, ERR_ORDER, "cap",
					 "%" PRIu32 " does not come after %" PRIu32, v->caps[i],
					 v->caps[i - 1]);
	}
	return OK;
}

/* For people's terminals: what CPUID may say is printable ASCII. */
static err_t ascii_parse(struct fields *f, const char *name, char *ret, size_t size)
{
	TRY(field_string(f, name, ret, size));
	for (const char *p = ret; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return field_bad(f, ERR_RANGE, name, "is not printable ASCII");
	return OK;
}

err_t inventory_parse(struct cur in, struct diag *d, struct inventory *ret)
{
	struct fields f = fields_of(in, "inventory", d);
	struct inventory v = { 0 };

	TRY(field_u32(&f, "xsave_size", X86_XSAVE_MAX, &v.xsave_size));
	TRY(field_u32(&f, "tsc_khz", UINT32_MAX, &v.tsc_khz));
	TRY(field_count(&f, "n_caps", INVENTORY_CAPS_MAX, sizeof v.caps[0], &v.n_caps));
	TRY(field_reserved(&f, 4));
	TRY(caps_parse(&f, &v));
	TRY(ascii_parse(&f, "cpu_vendor", v.cpu_vendor, sizeof v.cpu_vendor));
	TRY(ascii_parse(&f, "cpu_model", v.cpu_model, sizeof v.cpu_model));
	TRY(field_done(&f));
	*ret = v;
	return OK;
}

void inventory_encode(struct out *o, const struct inventory *v)
{
	if (v->n_caps > INVENTORY_CAPS_MAX) {
		o->overrun = true;
		return;
	}
	out_u32(o, v->xsave_size);
	out_u32(o, v->tsc_khz);
	out_u32(o, v->n_caps);
	out_zero(o, 4);
	for (uint32_t i = 0; i < v->n_caps; i++)
		out_u32(o, v->caps[i]);
	out_string(o, v->cpu_vendor);
	out_string(o, v->cpu_model);
}
