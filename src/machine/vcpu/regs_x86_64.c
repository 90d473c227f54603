/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's registers and events, between KVM's structures and those of the file. */
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>

#include "machine/vcpu/vcpu_parts_x86_64.h"

#define GENERAL_REGISTERS(X) \
	X(rax) X(rbx) X(rcx) X(rdx) X(rsi) X(rdi) X(rsp) X(rbp) X(r8) X(r9) X(r10) X(r11) X(r12) \
	X(r13) X(r14) X(r15) X(rip) X(rflags)

err_t regs_get(const struct kvm_vcpu *v, struct x86_regs *to, struct diag *d)
{
	struct kvm_regs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_REGS, &from, "KVM_GET_REGS", d, NULL));
#define X(r) to->r = from.r;
	GENERAL_REGISTERS(X)
#undef X
	return OK;
}

err_t regs_set(const struct kvm_vcpu *v, const struct x86_regs *from, struct diag *d)
{
	struct kvm_regs to = { 0 };

#define X(r) to.r = from->r;
	GENERAL_REGISTERS(X)
#undef X
	return kvm_call(v->fd.raw, KVM_SET_REGS, &to, "KVM_SET_REGS", d, NULL);
}

#define SEGMENT_FIELDS(X) \
	X(base) X(limit) X(selector) X(type) X(present) X(dpl) X(db) X(s) X(l) X(g) X(avl) X(unusable)

static struct x86_segment segment_from_kvm(const struct kvm_segment *k)
{
	struct x86_segment s;

#define X(f) s.f = k->f;
	SEGMENT_FIELDS(X)
#undef X
	return s;
}

static struct kvm_segment segment_to_kvm(const struct x86_segment *s)
{
	struct kvm_segment k = { 0 };

#define X(f) k.f = s->f;
	SEGMENT_FIELDS(X)
#undef X
	return k;
}

#define SEGMENTS(X) X(cs) X(ds) X(es) X(fs) X(gs) X(ss) X(tr) X(ldt)
#define CONTROLS(X) X(cr0) X(cr2) X(cr3) X(cr4) X(cr8) X(efer) X(apic_base)

err_t sregs_get(const struct kvm_vcpu *v, struct x86_sregs *to, struct diag *d)
{
	struct kvm_sregs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_SREGS, &from, "KVM_GET_SREGS", d, NULL));
#define X(s) to->s = segment_from_kvm(&from.s);
	SEGMENTS(X)
#undef X
#define X(c) to->c = from.c;
	CONTROLS(X)
#undef X
	to->gdt = (struct x86_dtable){ from.gdt.base, from.gdt.limit };
	to->idt = (struct x86_dtable){ from.idt.base, from.idt.limit };
	memcpy(to->interrupt_bitmap, from.interrupt_bitmap, sizeof to->interrupt_bitmap);
	return OK;
}

err_t sregs_set(const struct kvm_vcpu *v, const struct x86_sregs *from, struct diag *d)
{
	struct kvm_sregs to = { 0 };

#define X(s) to.s = segment_to_kvm(&from->s);
	SEGMENTS(X)
#undef X
#define X(c) to.c = from->c;
	CONTROLS(X)
#undef X
	to.gdt = (struct kvm_dtable){ .base = from->gdt.base, .limit = from->gdt.limit };
	to.idt = (struct kvm_dtable){ .base = from->idt.base, .limit = from->idt.limit };
	memcpy(to.interrupt_bitmap, from->interrupt_bitmap, sizeof to.interrupt_bitmap);
	return kvm_call(v->fd.raw, KVM_SET_SREGS, &to, "KVM_SET_SREGS", d, NULL);
}

err_t vcpu_set_entry(const struct kvm_vcpu *v, const struct x86_regs *regs,
		     const struct x86_sregs *sregs, struct diag *d)
{
	struct x86_sregs now, entry = *sregs;

	/* The loader chooses segments and control registers; the APIC base is the processor's. */
	TRY(sregs_get(v, &now, d));
	entry.apic_base = now.apic_base;
	TRY(sregs_set(v, &entry, d));
	return regs_set(v, regs, d);
}

/* ---- XSAVE, XCRs, debug registers, local APIC ---- */

err_t xsave_get(const struct kvm_vcpu *v, uint32_t size, struct vcpu_x86_64 *to,
		struct diag *d)
{
	to->xsave_len = size;
	/* KVM_GET_XSAVE2 writes exactly the size that KVM_CAP_XSAVE2 reported. */
	if (size > LEGACY_XSAVE)
		return kvm_call(v->fd.raw, KVM_GET_XSAVE2, to->xsave, "KVM_GET_XSAVE2", d, NULL);
	return kvm_call(v->fd.raw, KVM_GET_XSAVE, to->xsave, "KVM_GET_XSAVE", d, NULL);
}

err_t xcrs_get(const struct kvm_vcpu *v, struct vcpu_x86_64 *to, struct diag *d)
{
	struct kvm_xcrs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_XCRS, &from, "KVM_GET_XCRS", d, NULL));
	if (from.nr_xcrs > X86_XCRS_MAX)
		return diag_fail(d, FAIL(ERR_INTERNAL), "KVM reports %u XCRs", from.nr_xcrs);
	to->n_xcrs = from.nr_xcrs;
	for (uint32_t i = 0; i < from.nr_xcrs; i++)
		to->xcrs[i] = (struct x86_xcr){ from.xcrs[i].xcr, from.xcrs[i].value };
	return OK;
}

err_t xcrs_set(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from, struct diag *d)
{
	struct kvm_xcrs to = { .nr_xcrs = from->n_xcrs };

	for (uint32_t i = 0; i < from->n_xcrs; i++) {
		to.xcrs[i].xcr = from->xcrs[i].index;
		to.xcrs[i].value = from->xcrs[i].value;
	}
	return kvm_call(v->fd.raw, KVM_SET_XCRS, &to, "KVM_SET_XCRS", d, NULL);
}

err_t debugregs_get(const struct kvm_vcpu *v, struct x86_debugregs *to, struct diag *d)
{
	struct kvm_debugregs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_DEBUGREGS, &from, "KVM_GET_DEBUGREGS", d, NULL));
	memcpy(to->db, from.db, sizeof to->db);
	to->dr6 = from.dr6;
	to->dr7 = from.dr7;
	to->flags = from.flags;
	return OK;
}

err_t debugregs_set(const struct kvm_vcpu *v, const struct x86_debugregs *from,
		    struct diag *d)
{
	struct kvm_debugregs to = { .dr6 = from->dr6, .dr7 = from->dr7, .flags = from->flags };

	memcpy(to.db, from->db, sizeof to.db);
	return kvm_call(v->fd.raw, KVM_SET_DEBUGREGS, &to, "KVM_SET_DEBUGREGS", d, NULL);
}

static_assert(sizeof(struct kvm_lapic_state) == X86_LAPIC_SIZE, "the register page KVM saves");
static_assert(sizeof(struct kvm_xsave) == LEGACY_XSAVE, "the area without large components");

/* ---- events ---- */

err_t events_get(const struct kvm_vcpu *v, struct x86_events *to, struct diag *d)
{
	struct kvm_vcpu_events e;

	TRY(kvm_call(v->fd.raw, KVM_GET_VCPU_EVENTS, &e, "KVM_GET_VCPU_EVENTS", d, NULL));
	*to = (struct x86_events){
		.exception_injected = e.exception.injected, .exception_nr = e.exception.nr,
		.exception_has_error_code = e.exception.has_error_code,
		.exception_pending = e.exception.pending,
		.exception_error_code = e.exception.error_code,
		.interrupt_injected = e.interrupt.injected, .interrupt_nr = e.interrupt.nr,
		.interrupt_soft = e.interrupt.soft, .interrupt_shadow = e.interrupt.shadow,
		.nmi_injected = e.nmi.injected, .nmi_pending = e.nmi.pending,
		.nmi_masked = e.nmi.masked, .sipi_vector = e.sipi_vector, .flags = e.flags,
		.smi_smm = e.smi.smm, .smi_pending = e.smi.pending,
		.smi_smm_inside_nmi = e.smi.smm_inside_nmi, .smi_latched_init = e.smi.latched_init,
		.triple_fault_pending = e.triple_fault.pending,
		.exception_has_payload = e.exception_has_payload,
		.exception_payload = e.exception_payload,
	};
	return OK;
}

static struct kvm_vcpu_events events_of(const struct x86_events *s)
{
	struct kvm_vcpu_events e;

	memset(&e, 0, sizeof e); /* its padding too: they are compared */

	e.exception.injected = s->exception_injected;
	e.exception.nr = s->exception_nr;
	e.exception.has_error_code = s->exception_has_error_code;
	e.exception.pending = s->exception_pending;
	e.exception.error_code = s->exception_error_code;
	e.interrupt.injected = s->interrupt_injected;
	e.interrupt.nr = s->interrupt_nr;
	e.interrupt.soft = s->interrupt_soft;
	e.interrupt.shadow = s->interrupt_shadow;
	e.nmi.injected = s->nmi_injected;
	e.nmi.pending = s->nmi_pending;
	e.nmi.masked = s->nmi_masked;
	e.sipi_vector = s->sipi_vector;
	/* What the flags call valid is what was saved; pending NMI and SIPI are always set, since
	 * a fresh vCPU's own may differ. */
	e.flags = s->flags | KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	e.smi.smm = s->smi_smm;
	e.smi.pending = s->smi_pending;
	e.smi.smm_inside_nmi = s->smi_smm_inside_nmi;
	e.smi.latched_init = s->smi_latched_init;
	e.triple_fault.pending = s->triple_fault_pending;
	e.exception_has_payload = s->exception_has_payload;
	e.exception_payload = s->exception_payload;
	return e;
}

/* But for what an interrupt that has been delivered left behind. */
static bool events_are_fresh(const struct vcpu_fresh *fresh, struct kvm_vcpu_events e)
{
	struct kvm_vcpu_events has;

	if (fresh == NULL)
		return false;
	has = events_of(&fresh->events);
	if (!e.interrupt.injected)
		e.interrupt.nr = e.interrupt.soft = 0;
	return memcmp(&has, &e, sizeof e) == 0;
}

err_t events_set(const struct kvm_vcpu *v, const struct x86_events *s,
		 const struct vcpu_fresh *fresh, struct diag *d)
{
	struct kvm_vcpu_events e = events_of(s);

	if (events_are_fresh(fresh, e))
		return OK;
	return kvm_call(v->fd.raw, KVM_SET_VCPU_EVENTS, &e, "KVM_SET_VCPU_EVENTS", d, NULL);
}
