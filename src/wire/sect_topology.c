/* SPDX-License-Identifier: Apache-2.0 */
/* The devices in slot order, as the file states them. Only kinds and queue counts are ever used to
 * make a topology; the other columns are there to be compared with it. */
#include <inttypes.h>

#include "wire/field.h"
#include "wire/sections.h"

enum { ROW_SIZE = 48 };

static err_t row_parse(struct fields *f, struct topology_row *r)
{
	enum dev_kind kind;

	TRY(field_u32(f, "kind", UINT32_MAX, &r->kind));
	if (failed(dev_kind_parse(r->kind, &kind)))
		return field_bad(f, ERR_RANGE, "kind", "%" PRIu32 " is no kind of device",
				 r->kind);
	TRY(field_u32(f, "queues", SHAPE_QUEUES_MAX, &r->queues));
	TRY(field_u32(f, "slot", UINT32_MAX, &r->slot));
	TRY(field_u32(f, "gsi", UINT32_MAX, &r->gsi));
	TRY(field_u32(f, "first_wake", UINT32_MAX, &r->first_wake));
	TRY(field_reserved(f, 4));
	TRY(field_u64(f, "mmio", UINT64_MAX, &r->mmio));
	TRY(field_u64(f, "mmio_len", UINT64_MAX, &r->mmio_len));
	return field_u64(f, "notify", UINT64_MAX, &r->notify);
}

err_t topology_section_parse(struct cur in, struct diag *d, struct topology_section *ret)
{
	struct fields f = fields_of(in, "topology", d);
	struct topology_section t = { 0 };

	TRY(field_u32(&f, "vcpus", SHAPE_VCPUS_MAX, &t.vcpus));
	TRY(field_count(&f, "n", SHAPE_DEVICES_MAX, ROW_SIZE, &t.n));
	for (uint32_t i = 0; i < t.n; i++)
		TRY(row_parse(&f, &t.rows[i]));
	TRY(field_done(&f));
	*ret = t;
	return OK;
}

void topology_section_encode(struct out *o, const struct topology_section *v)
{
	if (v->n > SHAPE_DEVICES_MAX) {
		o->overrun = true;
		return;
	}
	out_u32(o, v->vcpus);
	out_u32(o, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct topology_row *r = &v->rows[i];

		out_u32(o, r->kind);
		out_u32(o, r->queues);
		out_u32(o, r->slot);
		out_u32(o, r->gsi);
		out_u32(o, r->first_wake);
		out_zero(o, 4);
		out_u64(o, r->mmio);
		out_u64(o, r->mmio_len);
		out_u64(o, r->notify);
	}
}
