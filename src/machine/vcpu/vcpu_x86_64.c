/* SPDX-License-Identifier: Apache-2.0 */
/* Order constraints, from KVM's implementation and Documentation/virt/kvm/api.rst:
 *  - CPUID before everything: it decides which MSRs exist and how large XSAVE is.
 *  - SREGS before LAPIC: SREGS carries the APIC base.
 *  - SET_REGS drops pending exceptions: before VCPU_EVENTS.
 *  - LAPIC before MSRs: TSC_DEADLINE arms the APIC's timer; TSC before TSC_DEADLINE.
 *  - IA32_TSC is never written: KVM would try to guess a synchronisation and override the offset. */
#include "machine/vcpu/vcpu_x86_64.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/heap.h"
#include "wire/msr_x86_64.h"

enum { LEGACY_XSAVE = 4096, TSC_TOLERANCE_PPM = 250 };

static err_t ask(int kvm, struct diag *d, struct vcpu_host *ret)
{
	int xsave2 = kvm_cap(kvm, KVM_CAP_XSAVE2);

	TRY(cpuid_supported(kvm, d, &ret->cpuid));
	TRY(msr_list_make(kvm, &ret->cpuid, d, &ret->msrs));
	ret->xsave_size = xsave2 > LEGACY_XSAVE ? (uint32_t)xsave2 : LEGACY_XSAVE;
	if (ret->xsave_size > X86_XSAVE_MAX)
		return diag_fail(d, FAIL(ERR_KVM_CAP),
				 "this host's XSAVE area is %" PRIu32 " bytes, expected at most %d",
				 ret->xsave_size, X86_XSAVE_MAX);
	ret->tsc_scaling = kvm_cap(kvm, KVM_CAP_TSC_CONTROL) > 0;
	ret->tsc_khz = 0;
	return OK;
}

/* What KVM offers does not change while a process lives, and asking executes CPUID dozens of
 * times: where this host is itself a guest, each is an exit, a third of a millisecond together. */
static struct {
	pthread_mutex_t lock;
	bool known;
	struct vcpu_host answer;
} asked = { .lock = PTHREAD_MUTEX_INITIALIZER };

err_t vcpu_host_ask(int kvm, struct diag *d, struct vcpu_host *ret)
{
	err_t e = OK;

	pthread_mutex_lock(&asked.lock);
	if (!asked.known)
		e = ask(kvm, d, &asked.answer);
	asked.known = asked.known || !failed(e);
	if (asked.known)
		*ret = asked.answer;
	pthread_mutex_unlock(&asked.lock);
	return e;
}

err_t vcpu_host_know(const struct vcpu_host *h)
{
	if (h->cpuid.n > X86_CPUID_MAX || h->msrs.n > X86_MSRS_MAX ||
	    h->xsave_size < LEGACY_XSAVE || h->xsave_size > X86_XSAVE_MAX)
		return FAIL(ERR_RANGE);
	pthread_mutex_lock(&asked.lock);
	asked.answer = *h;
	asked.known = true;
	pthread_mutex_unlock(&asked.lock);
	return OK;
}

void vcpu_host_ask_tsc(const struct kvm_vcpu *fresh, struct vcpu_host *h)
{
	if (h->tsc_khz != 0)
		return;
	h->tsc_khz = vcpu_tsc_khz(fresh);
	pthread_mutex_lock(&asked.lock);
	asked.answer.tsc_khz = h->tsc_khz;
	pthread_mutex_unlock(&asked.lock);
}

union cpuid_batch {
	struct kvm_cpuid2 head; /* its entries fill the room */
	uint8_t room[sizeof(struct kvm_cpuid2) + X86_CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
};

static err_t set_cpuid(const struct kvm_vcpu *v, const struct x86_cpuid_entry *entries, uint32_t n,
		       struct diag *d)
{
	union cpuid_batch to;

	to.head.nent = n;
	to.head.padding = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct x86_cpuid_entry *e = &entries[i];

		to.head.entries[i] = (struct kvm_cpuid_entry2){
			.function = e->function, .index = e->index, .flags = e->flags,
			.eax = e->eax, .ebx = e->ebx, .ecx = e->ecx, .edx = e->edx,
		};
	}
	return kvm_call(v->fd.raw, KVM_SET_CPUID2, &to, "KVM_SET_CPUID2", d, NULL);
}

/* Every XSAVE component that the processor has, as firmware would leave it: a kernel chooses its
 * own with XSETBV. A KVM that is not told of that instruction (one below an emulator that does not
 * intercept it) still knows what to save. */
static err_t enable_xsave(const struct kvm_vcpu *v, const struct cpuid *c, struct diag *d)
{
	struct kvm_xcrs to = { .nr_xcrs = 1 };
	bool has_xsave = false;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct x86_cpuid_entry *e = &c->entries[i];

		if (e->function == 1)
			has_xsave = (e->ecx >> 26) & 1;
		if (e->function == 0xD && e->index == 0)
			to.xcrs[0].value = e->eax | (uint64_t)e->edx << 32;
	}
	if (!has_xsave || to.xcrs[0].value == 0)
		return OK;
	return kvm_call(v->fd.raw, KVM_SET_XCRS, &to, "KVM_SET_XCRS", d, NULL);
}

err_t vcpu_init(const struct kvm_vcpu *v, const struct vcpu_host *h, vcpu_id id, uint32_t vcpus,
		struct diag *d, struct cpuid *ret_given)
{
	*ret_given = h->cpuid;
	cpuid_for_vcpu(ret_given, id, vcpus);
	TRY(set_cpuid(v, ret_given->entries, ret_given->n, d));
	return enable_xsave(v, ret_given, d);
}

/* ---- registers ---- */

#define GENERAL_REGISTERS(X) \
	X(rax) X(rbx) X(rcx) X(rdx) X(rsi) X(rdi) X(rsp) X(rbp) X(r8) X(r9) X(r10) X(r11) X(r12) \
	X(r13) X(r14) X(r15) X(rip) X(rflags)

static err_t get_regs(const struct kvm_vcpu *v, struct x86_regs *to, struct diag *d)
{
	struct kvm_regs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_REGS, &from, "KVM_GET_REGS", d, NULL));
#define X(r) to->r = from.r;
	GENERAL_REGISTERS(X)
#undef X
	return OK;
}

static err_t set_regs(const struct kvm_vcpu *v, const struct x86_regs *from, struct diag *d)
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

static err_t get_sregs(const struct kvm_vcpu *v, struct x86_sregs *to, struct diag *d)
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

static err_t set_sregs(const struct kvm_vcpu *v, const struct x86_sregs *from, struct diag *d)
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
	TRY(get_sregs(v, &now, d));
	entry.apic_base = now.apic_base;
	TRY(set_sregs(v, &entry, d));
	return set_regs(v, regs, d);
}

/* ---- XSAVE, XCRs, debug registers, local APIC ---- */

static err_t get_xsave(const struct kvm_vcpu *v, uint32_t size, struct vcpu_x86_64 *to,
		       struct diag *d)
{
	to->xsave_len = size;
	/* KVM_GET_XSAVE2 writes exactly the size that KVM_CAP_XSAVE2 reported. */
	if (size > LEGACY_XSAVE)
		return kvm_call(v->fd.raw, KVM_GET_XSAVE2, to->xsave, "KVM_GET_XSAVE2", d, NULL);
	return kvm_call(v->fd.raw, KVM_GET_XSAVE, to->xsave, "KVM_GET_XSAVE", d, NULL);
}

static err_t get_xcrs(const struct kvm_vcpu *v, struct vcpu_x86_64 *to, struct diag *d)
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

static err_t set_xcrs(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from, struct diag *d)
{
	struct kvm_xcrs to = { .nr_xcrs = from->n_xcrs };

	for (uint32_t i = 0; i < from->n_xcrs; i++) {
		to.xcrs[i].xcr = from->xcrs[i].index;
		to.xcrs[i].value = from->xcrs[i].value;
	}
	return kvm_call(v->fd.raw, KVM_SET_XCRS, &to, "KVM_SET_XCRS", d, NULL);
}

static err_t get_debugregs(const struct kvm_vcpu *v, struct x86_debugregs *to, struct diag *d)
{
	struct kvm_debugregs from;

	TRY(kvm_call(v->fd.raw, KVM_GET_DEBUGREGS, &from, "KVM_GET_DEBUGREGS", d, NULL));
	memcpy(to->db, from.db, sizeof to->db);
	to->dr6 = from.dr6;
	to->dr7 = from.dr7;
	to->flags = from.flags;
	return OK;
}

static err_t set_debugregs(const struct kvm_vcpu *v, const struct x86_debugregs *from,
			   struct diag *d)
{
	struct kvm_debugregs to = { .dr6 = from->dr6, .dr7 = from->dr7, .flags = from->flags };

	memcpy(to.db, from->db, sizeof to.db);
	return kvm_call(v->fd.raw, KVM_SET_DEBUGREGS, &to, "KVM_SET_DEBUGREGS", d, NULL);
}

static_assert(sizeof(struct kvm_lapic_state) == X86_LAPIC_SIZE, "the register page KVM saves");
static_assert(sizeof(struct kvm_xsave) == LEGACY_XSAVE, "the area without large components");

/* ---- events ---- */

static err_t get_events(const struct kvm_vcpu *v, struct x86_events *to, struct diag *d)
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

static err_t set_events(const struct kvm_vcpu *v, const struct x86_events *s,
			const struct vcpu_fresh *fresh, struct diag *d)
{
	struct kvm_vcpu_events e = events_of(s);

	if (events_are_fresh(fresh, e))
		return OK;
	return kvm_call(v->fd.raw, KVM_SET_VCPU_EVENTS, &e, "KVM_SET_VCPU_EVENTS", d, NULL);
}

/* ---- MSRs ---- */

union msr_batch {
	struct kvm_msrs head; /* its entries fill the room */
	uint8_t room[sizeof(struct kvm_msrs) + X86_MSRS_MAX * sizeof(struct kvm_msr_entry)];
};

static err_t get_msrs(const struct kvm_vcpu *v, const struct msr_list *l, struct vcpu_x86_64 *to,
		      struct diag *d)
{
	union msr_batch b;
	int done;

	b.head.nmsrs = l->n;
	b.head.pad = 0;
	for (uint32_t i = 0; i < l->n; i++)
		b.head.entries[i] = (struct kvm_msr_entry){ .index = l->index[i] };
	TRY(kvm_call(v->fd.raw, KVM_GET_MSRS, &b, "KVM_GET_MSRS", d, &done));
	if ((uint32_t)done != l->n)
		return diag_fail(d, FAIL(ERR_KVM), "KVM_GET_MSRS: MSR %#" PRIx32 " cannot be read",
				 l->index[done]);
	to->n_msrs = l->n;
	for (uint32_t i = 0; i < l->n; i++)
		to->msrs[i] = (struct x86_msr){ l->index[i], b.head.entries[i].data };
	return OK;
}

/* Both lists ascend: *io_at goes along. */
static bool msr_is_fresh(const struct vcpu_fresh *fresh, const struct x86_msr *m, uint32_t *io_at)
{
	if (fresh == NULL)
		return false;
	while (*io_at < fresh->n_msrs && fresh->msrs[*io_at].index < m->index)
		(*io_at)++;
	return *io_at < fresh->n_msrs && fresh->msrs[*io_at].index == m->index &&
	       fresh->msrs[*io_at].value == m->value;
}

/* Sets those that the vCPU does not hold, in one call, which takes them in their order: TSC_DEADLINE
 * last. */
static err_t set_msrs(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from,
		      const struct vcpu_fresh *fresh, struct diag *d)
{
	const struct x86_msr *deadline = NULL;
	union msr_batch b;
	uint32_t n = 0, at = 0;
	int done;

	for (uint32_t i = 0; i < from->n_msrs; i++) {
		const struct x86_msr *m = &from->msrs[i];

		if (msr_is_fresh(fresh, m, &at))
			continue;
		if (m->index == MSR_IA32_TSC_DEADLINE)
			deadline = m;
		else
			b.head.entries[n++] = (struct kvm_msr_entry){ .index = m->index,
								 .data = m->value };
	}
	if (deadline != NULL)
		b.head.entries[n++] = (struct kvm_msr_entry){ .index = deadline->index,
							 .data = deadline->value };
	if (n == 0)
		return OK;
	b.head.nmsrs = n;
	b.head.pad = 0;
	TRY(kvm_call(v->fd.raw, KVM_SET_MSRS, &b, "KVM_SET_MSRS", d, &done));
	if ((uint32_t)done != n)
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "msrs",
				  "this host does not take MSR %#" PRIx32 " = %#" PRIx64,
				  b.head.entries[done].index, (uint64_t)b.head.entries[done].data);
	return OK;
}

static err_t read_msr(const struct kvm_vcpu *v, uint32_t index, struct diag *d, uint64_t *ret)
{
	union msr_batch b;
	int done;

	b.head.nmsrs = 1;
	b.head.pad = 0;
	b.head.entries[0] = (struct kvm_msr_entry){ .index = index };
	TRY(kvm_call(v->fd.raw, KVM_GET_MSRS, &b, "KVM_GET_MSRS", d, &done));
	if (done != 1)
		return diag_fail(d, FAIL(ERR_KVM), "KVM_GET_MSRS: MSR %#" PRIx32 " cannot be read",
				 index);
	*ret = b.head.entries[0].data;
	return OK;
}

/* ---- TSC ---- */

static err_t tsc_offset(const struct kvm_vcpu *v, unsigned long call, uint64_t *offset,
			struct diag *d)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return kvm_call(v->fd.raw, call, &attr, "KVM_VCPU_TSC_OFFSET", d, NULL);
}

/* syscalls(control): ioctl=KVM_GET_DEVICE_ATTR ioctl=KVM_GET_MSRS */
/* A guest TSC is host TSC (scaled, where it is) plus the offset. Where it is, one reading on one vCPU
 * gives the scaled host TSC, and nothing here needs to know the ratio. */
err_t tsc_base(const struct kvm_vcpu *any, bool is_scaled, struct diag *d, uint64_t *ret_now)
{
	uint64_t offset, now;

	if (!is_scaled) {
		*ret_now = __builtin_ia32_rdtsc();
		return OK;
	}
	TRY(tsc_offset(any, KVM_GET_DEVICE_ATTR, &offset, d));
	TRY(read_msr(any, MSR_IA32_TSC, d, &now));
	*ret_now = now - offset;
	return OK;
}

uint64_t tsc_cycles(uint64_t ns, uint32_t khz)
{
	return (uint64_t)((unsigned __int128)ns * khz / 1000000);
}

/* ---- the whole ---- */

/* Intel SDM 3A, 11.5.1: the timer's local vector entry, and the mode in its bits 17 and 18. */
enum { LAPIC_LVT_TIMER = 0x320, LVT_TIMER_DEADLINE = 2 };

static bool counts_to_deadline(const struct vcpu_x86_64 *s)
{
	uint32_t lvt;

	memcpy(&lvt, s->lapic + LAPIC_LVT_TIMER, sizeof lvt);
	return (lvt >> 17 & 3) == LVT_TIMER_DEADLINE;
}

/* TSC_DEADLINE reads as zero when its timer has fired but the interrupt is not yet delivered to
 * the guest's handler; set to the current TSC it fires at once, which is harmless, where zero
 * would lose it. In the timer's other modes it is zero and stays so. */
static void keep_deadline(struct vcpu_x86_64 *s)
{
	for (uint32_t i = 0; i < s->n_msrs && counts_to_deadline(s); i++) {
		if (s->msrs[i].index == MSR_IA32_TSC_DEADLINE && s->msrs[i].value == 0)
			s->msrs[i].value = s->guest_tsc;
	}
}

uint32_t vcpu_tsc_khz(const struct kvm_vcpu *v)
{
	int khz = ioctl(v->fd.raw, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

/* Every vCPU's TSC at the one moment `tsc_now`, however long the saving takes. */
static err_t save_tsc(const struct kvm_vcpu *v, uint64_t tsc_now, struct vcpu_x86_64 *ret,
		      struct diag *d)
{
	uint64_t offset;

	TRY(tsc_offset(v, KVM_GET_DEVICE_ATTR, &offset, d));
	ret->tsc_khz = vcpu_tsc_khz(v);
	ret->guest_tsc = tsc_now + offset;
	return OK;
}

/* syscalls(control): ioctl=KVM_GET_REGS ioctl=KVM_GET_SREGS ioctl=KVM_GET_XCRS
 * ioctl=KVM_GET_DEBUGREGS ioctl=KVM_GET_VCPU_EVENTS ioctl=KVM_GET_MSRS ioctl=KVM_GET_TSC_KHZ
 * ioctl=KVM_GET_MP_STATE ioctl=KVM_GET_LAPIC */
/* syscalls(control): ioctl=KVM_GET_XSAVE? ioctl=KVM_GET_XSAVE2? (one of them: how large this host's
 * state is decides) */
err_t vcpu_save(const struct kvm_vcpu *v, struct quiesced q, const struct vcpu_host *h,
		const struct cpuid *given, vcpu_id id, uint64_t tsc_now, struct diag *d,
		struct vcpu_x86_64 *ret)
{
	struct kvm_mp_state mp;

	(void)q;
	ret->id = id;
	ret->n_cpuid = given->n;
	memcpy(ret->cpuid, given->entries, given->n * sizeof given->entries[0]);
	TRY(kvm_call(v->fd.raw, KVM_GET_MP_STATE, &mp, "KVM_GET_MP_STATE", d, NULL));
	ret->mp_state = mp.mp_state;
	TRY(get_regs(v, &ret->regs, d));
	TRY(get_sregs(v, &ret->sregs, d));
	TRY(get_xsave(v, h->xsave_size, ret, d));
	TRY(get_xcrs(v, ret, d));
	TRY(get_debugregs(v, &ret->debugregs, d));
	TRY(kvm_call(v->fd.raw, KVM_GET_LAPIC, ret->lapic, "KVM_GET_LAPIC", d, NULL));
	TRY(save_tsc(v, tsc_now, ret, d));
	TRY(get_msrs(v, &h->msrs, ret, d));
	keep_deadline(ret);
	return get_events(v, &ret->events, d);
}

static bool khz_close(uint32_t a, uint32_t b)
{
	uint64_t apart = a > b ? a - b : b - a;

	return apart * 1000000 <= (uint64_t)b * TSC_TOLERANCE_PPM;
}

bool vcpu_tsc_is_scaled(const struct vcpu_host *h, uint32_t khz)
{
	return khz != 0 && h->tsc_khz != 0 && !khz_close(khz, h->tsc_khz);
}

err_t vcpu_judge(const struct vcpu_x86_64 *s, const struct vcpu_host *h, struct diag *d)
{
	TRY(cpuid_compatible(&h->cpuid, s->cpuid, s->n_cpuid, d));
	if (s->xsave_len != h->xsave_size)
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "xsave_len",
				  "the machine's XSAVE area is %" PRIu32 " bytes, this host's %" PRIu32,
				  s->xsave_len, h->xsave_size);
	if (vcpu_tsc_is_scaled(h, s->tsc_khz) && !h->tsc_scaling)
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "tsc_khz",
				  "the machine's TSC runs at %" PRIu32 " kHz, this host's at %" PRIu32
				  " kHz, and this KVM cannot scale it", s->tsc_khz, h->tsc_khz);
	return OK;
}

err_t vcpu_shape(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s, const struct vcpu_host *h,
		 struct diag *d)
{
	TRY(set_cpuid(v, s->cpuid, s->n_cpuid, d));
	if (!vcpu_tsc_is_scaled(h, s->tsc_khz))
		return OK;
	return kvm_call(v->fd.raw, KVM_SET_TSC_KHZ, (void *)(uintptr_t)s->tsc_khz,
			"KVM_SET_TSC_KHZ", d, NULL);
}

err_t vcpu_fresh_read(const struct kvm_vcpu *v, const struct vcpu_host *h, struct diag *d,
		      struct vcpu_fresh *ret)
{
	owned_heap struct vcpu_x86_64 *s = calloc(1, sizeof *s);
	struct kvm_mp_state mp;

	if (s == NULL)
		return FAIL(ERR_NOMEM);
	TRY(kvm_call(v->fd.raw, KVM_GET_MP_STATE, &mp, "KVM_GET_MP_STATE", d, NULL));
	TRY(get_xcrs(v, s, d));
	TRY(get_debugregs(v, &s->debugregs, d));
	TRY(get_msrs(v, &h->msrs, s, d));
	TRY(get_events(v, &ret->events, d));
	ret->mp_state = mp.mp_state;
	ret->n_xcrs = s->n_xcrs;
	memcpy(ret->xcrs, s->xcrs, sizeof ret->xcrs);
	ret->debugregs = s->debugregs;
	ret->n_msrs = s->n_msrs;
	memcpy(ret->msrs, s->msrs, s->n_msrs * sizeof s->msrs[0]);
	return OK;
}

static bool xcrs_are_fresh(const struct vcpu_fresh *fresh, const struct vcpu_x86_64 *s)
{
	if (fresh == NULL || fresh->n_xcrs != s->n_xcrs)
		return false;
	for (uint32_t i = 0; i < s->n_xcrs; i++)
		if (fresh->xcrs[i].index != s->xcrs[i].index ||
		    fresh->xcrs[i].value != s->xcrs[i].value)
			return false;
	return true;
}

/* syscalls(control): ioctl=KVM_SET_REGS ioctl=KVM_SET_SREGS ioctl=KVM_SET_XSAVE ioctl=KVM_SET_XCRS
 * ioctl=KVM_SET_DEBUGREGS ioctl=KVM_SET_MP_STATE */
err_t vcpu_load(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s,
		const struct vcpu_fresh *fresh, struct diag *d)
{
	struct kvm_mp_state mp = { .mp_state = s->mp_state };

	if (fresh == NULL || fresh->mp_state != s->mp_state)
		TRY(kvm_call(v->fd.raw, KVM_SET_MP_STATE, &mp, "KVM_SET_MP_STATE", d, NULL));
	TRY(set_regs(v, &s->regs, d));
	TRY(set_sregs(v, &s->sregs, d));
	/* KVM_SET_XSAVE reads as much as KVM_CAP_XSAVE2 reported; vcpu_judge made sure that it is
	 * there. */
	TRY(kvm_call(v->fd.raw, KVM_SET_XSAVE, (void *)(uintptr_t)s->xsave, "KVM_SET_XSAVE", d,
		     NULL));
	if (!xcrs_are_fresh(fresh, s))
		TRY(set_xcrs(v, s, d));
	if (fresh != NULL && memcmp(&fresh->debugregs, &s->debugregs, sizeof s->debugregs) == 0)
		return OK;
	return set_debugregs(v, &s->debugregs, d);
}

/* Documentation/virt/kvm/x86/msr.rst: MSR_KVM_SYSTEM_TIME_NEW, bit 0 says that it is in use; and its
 * older number. */
static bool has_kvmclock(const struct vcpu_x86_64 *s)
{
	for (uint32_t i = 0; i < s->n_msrs; i++)
		if ((s->msrs[i].index == 0x4b564d01 || s->msrs[i].index == 0x12) &&
		    (s->msrs[i].value & 1) != 0)
			return true;
	return false;
}

/* syscalls(control): ioctl=KVM_SET_DEVICE_ATTR ioctl=KVM_SET_LAPIC ioctl=KVM_SET_MSRS
 * ioctl=KVM_SET_VCPU_EVENTS */
err_t vcpu_load_time(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s, uint64_t tsc_now,
		     const struct vcpu_fresh *fresh, struct diag *d)
{
	uint64_t offset = s->guest_tsc - tsc_now;

	TRY(tsc_offset(v, KVM_SET_DEVICE_ATTR, &offset, d));
	TRY(kvm_call(v->fd.raw, KVM_SET_LAPIC, (void *)(uintptr_t)s->lapic, "KVM_SET_LAPIC", d,
		     NULL));
	TRY(set_msrs(v, s, fresh, d));
	TRY(set_events(v, &s->events, fresh, d));
	if (has_kvmclock(s))
		vcpu_notify_paused(v);
	return OK;
}

/* syscalls(control): ioctl=KVM_KVMCLOCK_CTRL */
void vcpu_notify_paused(const struct kvm_vcpu *v)
{
	/* EINVAL until the guest has enabled its clock page: nothing to tell then. */
	(void)ioctl(v->fd.raw, KVM_KVMCLOCK_CTRL, 0);
}
