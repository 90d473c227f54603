/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt controllers and the timer that KVM keeps for an x86-64 machine. KVM copies this
 * state in as it is, so every field is held to the values that the model can take. */
#include <inttypes.h>

#include "wire/field.h"
#include "wire/lists.h"
#include "wire/sections.h"

#define IOAPIC_BASE UINT64_C(0xFEC00000) /* 82093AA: where every PC has it */

enum { PIT_MODE_MAX = 7, PIT_FLAGS = 3 /* KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON */ };

static err_t pic_parse(struct fields *f, struct x86_pic *p)
{
#define X(width, name, max) TRY(field_##width(f, "pic." #name, max, &p->name));
	X86_PIC(X)
#undef X
	return OK;
}

static err_t ioapic_parse(struct fields *f, struct x86_ioapic *a)
{
#define X(width, name, max) TRY(field_##width(f, "ioapic." #name, max, &a->name));
	X86_IOAPIC(X)
#undef X
	if (a->base_address != IOAPIC_BASE)
		return field_bad(f, ERR_RANGE, "ioapic.base_address",
				 "is 0x%" PRIx64 ", expected 0x%" PRIx64, a->base_address,
				 IOAPIC_BASE);
	TRY(field_reserved(f, 4));
	for (size_t i = 0; i < X86_IOAPIC_PINS; i++)
		TRY(field_u64(f, "ioapic.redirection", UINT64_MAX, &a->redirection[i]));
	return OK;
}

static err_t pit_channel_parse(struct fields *f, struct x86_pit_channel *c)
{
#define X(width, name, max) TRY(field_##width(f, "pit." #name, max, &c->name));
	X86_PIT(X)
#undef X
	/* KVM's model after power-on has no mode yet and says 255. */
	if (c->mode > PIT_MODE_MAX && c->mode != UINT8_MAX)
		return field_bad(f, ERR_RANGE, "pit.mode", "is %u, expected 0 to %d or 255",
				 c->mode, PIT_MODE_MAX);
	return field_i64(f, "pit.count_load_time", &c->count_load_time);
}

err_t irqchip_x86_64_parse(struct cur in, struct diag *d, struct irqchip_x86_64 *ret)
{
	struct fields f = fields_of(in, "irqchip", d);
	struct irqchip_x86_64 v = { 0 };

	for (size_t i = 0; i < countof(v.pic); i++)
		TRY(pic_parse(&f, &v.pic[i]));
	TRY(ioapic_parse(&f, &v.ioapic));
	for (size_t i = 0; i < countof(v.pit); i++)
		TRY(pit_channel_parse(&f, &v.pit[i]));
	TRY(field_u32(&f, "pit_flags", PIT_FLAGS, &v.pit_flags));
	TRY(field_reserved(&f, 4));
	TRY(field_done(&f));
	*ret = v;
	return OK;
}

static void pic_encode(struct out *o, const struct x86_pic *p)
{
#define X(width, name, max) out_##width(o, p->name);
	X86_PIC(X)
#undef X
}

static void ioapic_encode(struct out *o, const struct x86_ioapic *a)
{
#define X(width, name, max) out_##width(o, a->name);
	X86_IOAPIC(X)
#undef X
	out_zero(o, 4);
	for (size_t i = 0; i < X86_IOAPIC_PINS; i++)
		out_u64(o, a->redirection[i]);
}

void irqchip_x86_64_encode(struct out *o, const struct irqchip_x86_64 *v)
{
	for (size_t i = 0; i < countof(v->pic); i++)
		pic_encode(o, &v->pic[i]);
	ioapic_encode(o, &v->ioapic);
	for (size_t i = 0; i < countof(v->pit); i++) {
		const struct x86_pit_channel *c = &v->pit[i];

#define X(width, name, max) out_##width(o, c->name);
		X86_PIT(X)
#undef X
		out_u64(o, (uint64_t)c->count_load_time);
	}
	out_u32(o, v->pit_flags);
	out_zero(o, 4);
}
