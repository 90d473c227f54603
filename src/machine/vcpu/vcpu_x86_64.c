/* SPDX-License-Identifier: Apache-2.0 */
/* Order constraints, from KVM's implementation and Documentation/virt/kvm/api.rst:
 *  - CPUID before everything: it decides which MSRs exist and how large XSAVE is.
 *  - SREGS before LAPIC: SREGS carries the APIC base.
 *  - SET_REGS drops pending exceptions: before VCPU_EVENTS.
 *  - LAPIC before MSRs: TSC_DEADLINE arms the APIC's timer; TSC before TSC_DEADLINE. */
#include "machine/vcpu/vcpu_parts_x86_64.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/heap.h"
#include "wire/msr_x86_64.h"

static err_t ask(int kvm, struct diag *d, struct vcpu_offer *ret)
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
	return OK;
}

/* What KVM offers does not change while a process lives, and asking executes CPUID dozens of
 * times: where this host is itself a guest, each is an exit, a third of a millisecond together. */
static struct {
	pthread_mutex_t lock;
	uint32_t tsc_khz;
	bool known; /* the offer, which never changes from then on */
	struct vcpu_offer offer;
} asked = { .lock = PTHREAD_MUTEX_INITIALIZER };

err_t vcpu_host_ask(int kvm, struct diag *d, struct vcpu_host *ret)
{
	err_t e = OK;

	pthread_mutex_lock(&asked.lock);
	if (!asked.known)
		e = ask(kvm, d, &asked.offer);
	asked.known = asked.known || !failed(e);
	if (asked.known)
		*ret = (struct vcpu_host){ &asked.offer, asked.tsc_khz };
	pthread_mutex_unlock(&asked.lock);
	return e;
}

err_t vcpu_answers_get(int kvm, struct diag *d, struct vcpu_answers *ret)
{
	struct vcpu_host h;

	TRY(vcpu_host_ask(kvm, d, &h));
	ret->offer = *h.offer;
	ret->tsc_khz = h.tsc_khz;
	return OK;
}

err_t vcpu_answers_know(const struct vcpu_answers *a)
{
	const struct vcpu_offer *o = &a->offer;

	if (o->cpuid.n > X86_CPUID_MAX || o->msrs.n > X86_MSRS_MAX ||
	    o->xsave_size < LEGACY_XSAVE || o->xsave_size > X86_XSAVE_MAX)
		return FAIL(ERR_RANGE);
	pthread_mutex_lock(&asked.lock);
	asked.offer = *o;
	asked.tsc_khz = a->tsc_khz;
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
	asked.tsc_khz = h->tsc_khz;
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
	*ret_given = h->offer->cpuid;
	cpuid_for_vcpu(ret_given, id, vcpus);
	TRY(set_cpuid(v, ret_given->entries, ret_given->n, d));
	return enable_xsave(v, ret_given, d);
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
		const struct cpuid_kept *given, vcpu_id id, uint64_t tsc_now, struct diag *d,
		struct vcpu_x86_64 *ret)
{
	struct kvm_mp_state mp;

	(void)q;
	ret->id = id;
	ret->n_cpuid = given->n;
	memcpy(ret->cpuid, given->entries, given->n * sizeof given->entries[0]);
	TRY(kvm_call(v->fd.raw, KVM_GET_MP_STATE, &mp, "KVM_GET_MP_STATE", d, NULL));
	ret->mp_state = mp.mp_state;
	TRY(regs_get(v, &ret->regs, d));
	TRY(sregs_get(v, &ret->sregs, d));
	TRY(xsave_get(v, h->offer->xsave_size, ret, d));
	TRY(xcrs_get(v, ret, d));
	TRY(debugregs_get(v, &ret->debugregs, d));
	TRY(kvm_call(v->fd.raw, KVM_GET_LAPIC, ret->lapic, "KVM_GET_LAPIC", d, NULL));
	TRY(save_tsc(v, tsc_now, ret, d));
	TRY(msrs_get(v, &h->offer->msrs, ret, d));
	keep_deadline(ret);
	return events_get(v, &ret->events, d);
}

err_t vcpu_judge(const struct vcpu_x86_64 *s, const struct vcpu_host *h, struct diag *d)
{
	TRY(cpuid_compatible(&h->offer->cpuid, s->cpuid, s->n_cpuid, d));
	if (s->xsave_len != h->offer->xsave_size)
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "xsave_len",
				  "the machine's XSAVE area is %" PRIu32 " bytes, this host's %" PRIu32,
				  s->xsave_len, h->offer->xsave_size);
	if (vcpu_tsc_is_scaled(h, s->tsc_khz) && !h->offer->tsc_scaling)
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
	TRY(xcrs_get(v, s, d));
	TRY(debugregs_get(v, &s->debugregs, d));
	TRY(msrs_get(v, &h->offer->msrs, s, d));
	TRY(events_get(v, &ret->events, d));
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
	TRY(regs_set(v, &s->regs, d));
	TRY(sregs_set(v, &s->sregs, d));
	/* KVM_SET_XSAVE reads as much as KVM_CAP_XSAVE2 reported; vcpu_judge made sure that it is
	 * there. */
	TRY(kvm_call(v->fd.raw, KVM_SET_XSAVE, (void *)(uintptr_t)s->xsave, "KVM_SET_XSAVE", d,
		     NULL));
	if (!xcrs_are_fresh(fresh, s))
		TRY(xcrs_set(v, s, d));
	if (fresh != NULL && memcmp(&fresh->debugregs, &s->debugregs, sizeof s->debugregs) == 0)
		return OK;
	return debugregs_set(v, &s->debugregs, d);
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
	TRY(msrs_set(v, s, fresh, d));
	TRY(events_set(v, &s->events, fresh, d));
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
