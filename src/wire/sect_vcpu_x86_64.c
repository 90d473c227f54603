/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one x86-64 vCPU. */
#include <inttypes.h>

#include "wire/field.h"
#include "wire/lists.h"
#include "wire/msr_x86_64.h"
#include "wire/sections.h"

enum {
	MP_STATE_MAX = 4,    /* KVM_MP_STATE_SIPI_RECEIVED; later ones are of other architectures */
	CPUID_FLAGS = 1,     /* KVM_CPUID_FLAG_SIGNIFCANT_INDEX */
	XSAVE_MIN = 576,     /* legacy area and header */
	XCR_SIZE = 16, CPUID_SIZE = 32, MSR_SIZE = 16,
};

static err_t segment_parse(struct fields *f, struct x86_segment *s)
{
#define X(width, name, max) TRY(field_##width(f, "segment." #name, max, &s->name));
	X86_SEGMENT(X)
#undef X
	return field_reserved(f, 1);
}

static err_t dtable_parse(struct fields *f, const char *name, struct x86_dtable *t)
{
	TRY(field_u64(f, name, UINT64_MAX, &t->base));
	TRY(field_u16(f, name, UINT16_MAX, &t->limit));
	return field_reserved(f, 6);
}

static err_t sregs_parse(struct fields *f, struct x86_sregs *s)
{
	struct x86_segment *segments[] = { &s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss,
					   &s->tr, &s->ldt };

	for (size_t i = 0; i < countof(segments); i++)
		TRY(segment_parse(f, segments[i]));
	TRY(dtable_parse(f, "gdt", &s->gdt));
	TRY(dtable_parse(f, "idt", &s->idt));
#define X(width, name, max) TRY(field_##width(f, #name, max, &s->name));
	X86_CONTROL(X)
#undef X
	for (size_t i = 0; i < countof(s->interrupt_bitmap); i++)
		TRY(field_u64(f, "interrupt_bitmap", UINT64_MAX, &s->interrupt_bitmap[i]));
	return OK;
}

static err_t debugregs_parse(struct fields *f, struct x86_debugregs *r)
{
	for (size_t i = 0; i < countof(r->db); i++)
		TRY(field_u64(f, "debug.db", UINT64_MAX, &r->db[i]));
#define X(width, name, max) TRY(field_##width(f, "debug." #name, max, &r->name));
	X86_DEBUG(X)
#undef X
	return OK;
}

static err_t events_parse(struct fields *f, struct x86_events *e)
{
#define X(width, name, max) TRY(field_##width(f, "events." #name, max, &e->name));
	X86_EVENTS(X)
#undef X
	TRY(field_reserved(f, 3));
	return field_u64(f, "events.exception_payload", UINT64_MAX, &e->exception_payload);
}

static err_t xcrs_parse(struct fields *f, struct vcpu_x86_64 *v)
{
	for (uint32_t i = 0; i < v->n_xcrs; i++) {
		struct x86_xcr *x = &v->xcrs[i];

		TRY(field_u32(f, "xcr.index", UINT32_MAX, &x->index));
		if (i > 0 && x->index <= x[-1].index)
			return field_bad(f, ERR_ORDER, "xcr.index",
					 "%" PRIu32 " does not come after %" PRIu32, x->index,
					 x[-1].index);
		TRY(field_reserved(f, 4));
		TRY(field_u64(f, "xcr.value", UINT64_MAX, &x->value));
	}
	return OK;
}

static uint64_t cpuid_key(const struct x86_cpuid_entry *e)
{
	return (uint64_t)e->function << 32 | e->index;
}

static err_t cpuid_parse(struct fields *f, struct vcpu_x86_64 *v)
{
	for (uint32_t i = 0; i < v->n_cpuid; i++) {
		struct x86_cpuid_entry *c = &v->cpuid[i];

		TRY(field_u32(f, "cpuid.function", UINT32_MAX, &c->function));
		TRY(field_u32(f, "cpuid.index", UINT32_MAX, &c->index));
		if (i > 0 && cpuid_key(c) <= cpuid_key(c - 1))
			return field_bad(f, ERR_ORDER, "cpuid.index",
					 "leaf %" PRIx32 ".%" PRIx32 " does not come after %" PRIx32
					 ".%" PRIx32, c->function, c->index, c[-1].function,
					 c[-1].index);
		TRY(field_u32(f, "cpuid.flags", CPUID_FLAGS, &c->flags));
#define X(width, name, max) TRY(field_##width(f, "cpuid." #name, max, &c->name));
		X86_CPUID_VALUES(X)
#undef X
		TRY(field_reserved(f, 4));
	}
	return OK;
}

static err_t msrs_parse(struct fields *f, struct vcpu_x86_64 *v)
{
	for (uint32_t i = 0; i < v->n_msrs; i++) {
		struct x86_msr *m = &v->msrs[i];

		TRY(field_u32(f, "msr.index", UINT32_MAX, &m->index));
		if (!x86_msr_is_state(m->index))
			return field_bad(f, ERR_RANGE, "msr.index",
					 "%#" PRIx32 " is not one that a snapshot may hold",
					 m->index);
		if (i > 0 && m->index <= m[-1].index)
			return field_bad(f, ERR_ORDER, "msr.index",
					 "%" PRIx32 " does not come after %" PRIx32, m->index,
					 m[-1].index);
		TRY(field_reserved(f, 4));
		TRY(field_u64(f, "msr.value", UINT64_MAX, &m->value));
	}
	return OK;
}

static err_t counts_parse(struct fields *f, struct vcpu_x86_64 *v)
{
	TRY(field_u32(f, "id", SHAPE_VCPUS_MAX - 1, &v->id.v));
	TRY(field_u32(f, "mp_state", MP_STATE_MAX, &v->mp_state));
	TRY(field_u32(f, "tsc_khz", UINT32_MAX, &v->tsc_khz));
	TRY(field_u32(f, "xsave_len", X86_XSAVE_MAX, &v->xsave_len));
	if (v->xsave_len < XSAVE_MIN)
		return field_bad(f, ERR_RANGE, "xsave_len",
				 "is %" PRIu32 ", expected at least %d", v->xsave_len, XSAVE_MIN);
	TRY(field_u64(f, "guest_tsc", UINT64_MAX, &v->guest_tsc));
	TRY(field_count(f, "n_xcrs", X86_XCRS_MAX, XCR_SIZE, &v->n_xcrs));
	TRY(field_count(f, "n_cpuid", X86_CPUID_MAX, CPUID_SIZE, &v->n_cpuid));
	TRY(field_count(f, "n_msrs", X86_MSRS_MAX, MSR_SIZE, &v->n_msrs));
	return field_reserved(f, 4);
}

err_t vcpu_x86_64_parse(struct cur in, struct diag *d, struct vcpu_x86_64 *ret)
{
	struct fields f = fields_of(in, "vcpu", d);

	TRY(counts_parse(&f, ret));
#define X(width, name, max) TRY(field_##width(&f, #name, max, &ret->regs.name));
	X86_REGS(X)
#undef X
	TRY(sregs_parse(&f, &ret->sregs));
	TRY(debugregs_parse(&f, &ret->debugregs));
	TRY(events_parse(&f, &ret->events));
	TRY(field_bytes(&f, "lapic", ret->lapic, sizeof ret->lapic));
	TRY(xcrs_parse(&f, ret));
	TRY(cpuid_parse(&f, ret));
	TRY(msrs_parse(&f, ret));
	TRY(field_bytes(&f, "xsave", ret->xsave, ret->xsave_len));
	return field_done(&f);
}

static void segment_encode(struct out *o, const struct x86_segment *s)
{
#define X(width, name, max) out_##width(o, s->name);
	X86_SEGMENT(X)
#undef X
	out_zero(o, 1);
}

static void dtable_encode(struct out *o, const struct x86_dtable *t)
{
	out_u64(o, t->base);
	out_u16(o, t->limit);
	out_zero(o, 6);
}

static void sregs_encode(struct out *o, const struct x86_sregs *s)
{
	const struct x86_segment *segments[] = { &s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss,
						 &s->tr, &s->ldt };

	for (size_t i = 0; i < countof(segments); i++)
		segment_encode(o, segments[i]);
	dtable_encode(o, &s->gdt);
	dtable_encode(o, &s->idt);
#define X(width, name, max) out_##width(o, s->name);
	X86_CONTROL(X)
#undef X
	for (size_t i = 0; i < countof(s->interrupt_bitmap); i++)
		out_u64(o, s->interrupt_bitmap[i]);
}

static void debugregs_encode(struct out *o, const struct x86_debugregs *r)
{
	for (size_t i = 0; i < countof(r->db); i++)
		out_u64(o, r->db[i]);
#define X(width, name, max) out_##width(o, r->name);
	X86_DEBUG(X)
#undef X
}

static void events_encode(struct out *o, const struct x86_events *e)
{
#define X(width, name, max) out_##width(o, e->name);
	X86_EVENTS(X)
#undef X
	out_zero(o, 3);
	out_u64(o, e->exception_payload);
}

static void lists_encode(struct out *o, const struct vcpu_x86_64 *v)
{
	for (uint32_t i = 0; i < v->n_xcrs; i++) {
		out_u32(o, v->xcrs[i].index);
		out_zero(o, 4);
		out_u64(o, v->xcrs[i].value);
	}
	for (uint32_t i = 0; i < v->n_cpuid; i++) {
		const struct x86_cpuid_entry *c = &v->cpuid[i];

		out_u32(o, c->function);
		out_u32(o, c->index);
		out_u32(o, c->flags);
#define X(width, name, max) out_##width(o, c->name);
		X86_CPUID_VALUES(X)
#undef X
		out_zero(o, 4);
	}
	for (uint32_t i = 0; i < v->n_msrs; i++) {
		out_u32(o, v->msrs[i].index);
		out_zero(o, 4);
		out_u64(o, v->msrs[i].value);
	}
}

void vcpu_x86_64_encode(struct out *o, const struct vcpu_x86_64 *v)
{
	if (v->n_xcrs > X86_XCRS_MAX || v->n_cpuid > X86_CPUID_MAX || v->n_msrs > X86_MSRS_MAX ||
	    v->xsave_len > X86_XSAVE_MAX) {
		o->overrun = true;
		return;
	}
	out_u32(o, v->id.v);
	out_u32(o, v->mp_state);
	out_u32(o, v->tsc_khz);
	out_u32(o, v->xsave_len);
	out_u64(o, v->guest_tsc);
	out_u32(o, v->n_xcrs);
	out_u32(o, v->n_cpuid);
	out_u32(o, v->n_msrs);
	out_zero(o, 4);
#define X(width, name, max) out_##width(o, v->regs.name);
	X86_REGS(X)
#undef X
	sregs_encode(o, &v->sregs);
	debugregs_encode(o, &v->debugregs);
	events_encode(o, &v->events);
	out_bytes(o, v->lapic, sizeof v->lapic);
	lists_encode(o, v);
	out_bytes(o, v->xsave, v->xsave_len);
}
