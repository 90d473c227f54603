/* SPDX-License-Identifier: Apache-2.0 */
/* The paravirtual clock, and the host's clocks at the moment it was read. */
#include "wire/field.h"
#include "wire/lists.h"
#include "wire/sections.h"

err_t clock_x86_64_parse(struct cur in, struct diag *d, struct clock_x86_64 *ret)
{
	struct fields f = fields_of(in, "clock", d);
	struct clock_x86_64 v;

#define X(width, name, max) TRY(field_##width(&f, #name, max, &v.name));
	X86_CLOCK(X)
#undef X
	TRY(field_done(&f));
	*ret = v;
	return OK;
}

void clock_x86_64_encode(struct out *o, const struct clock_x86_64 *v)
{
#define X(width, name, max) out_##width(o, v->name);
	X86_CLOCK(X)
#undef X
}
