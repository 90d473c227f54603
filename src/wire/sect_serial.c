/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/field.h"
#include "wire/lists.h"
#include "wire/sections.h"

err_t serial_state_parse(struct cur in, struct diag *d, struct serial_state *ret)
{
	struct fields f = fields_of(in, "serial", d);
	struct serial_state v = { 0 };

#define X(width, name, max) TRY(field_##width(&f, #name, max, &v.name));
	SERIAL_FIELDS(X)
#undef X
	TRY(field_bytes(&f, "rx", v.rx, v.rx_len));
	TRY(field_reserved(&f, (size_t)SERIAL_FIFO - v.rx_len));
	TRY(field_reserved(&f, 4));
	TRY(field_done(&f));
	*ret = v;
	return OK;
}

void serial_state_encode(struct out *o, const struct serial_state *v)
{
	if (v->rx_len > SERIAL_FIFO) {
		o->overrun = true;
		return;
	}
#define X(width, name, max) out_##width(o, v->name);
	SERIAL_FIELDS(X)
#undef X
	out_bytes(o, v->rx, v->rx_len);
	out_zero(o, (size_t)SERIAL_FIFO - v->rx_len);
	out_zero(o, 4);
}
