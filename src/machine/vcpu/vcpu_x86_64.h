/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one vCPU into and out of KVM, in the order that KVM needs. */
#pragma once

#include "machine/kvm/kvm.h"
#include "machine/vcpu/cpuid_x86_64.h"
#include "machine/vcpu/msr_x86_64.h"
#include "machine/vcpu/quiesced.h"

/* What KVM offers: asked once in a process, and the same for all of its machines. */
struct vcpu_offer {
	struct cpuid cpuid;   /* what this KVM supports */
	struct msr_list msrs; /* which registers are saved */
	uint32_t xsave_size;  /* KVM_CAP_XSAVE2, at least 4096 */
	bool tsc_scaling;
};
/* What all vCPUs of a machine share. */
struct vcpu_host {
	const struct vcpu_offer *offer; /* lives as long as the process */
	uint32_t tsc_khz;               /* 0: not known yet */
};
must_check err_t vcpu_host_ask(int kvm, struct diag *d, struct vcpu_host *ret);

/* This process need not ask: it was answered to another one of this build, on this host. Before any
 * machine. */
struct vcpu_answers {
	struct vcpu_offer offer;
	uint32_t tsc_khz;
};
must_check err_t vcpu_answers_get(int kvm, struct diag *d, struct vcpu_answers *ret);
must_check err_t vcpu_answers_know(const struct vcpu_answers *a);

/* A fresh vCPU gets a processor, kept in *ret_given: the machine's own record of it. What KVM
 * answers to KVM_GET_CPUID2 is not that: it mixes in bits of the moment (OSXSAVE, sizes by XCR0). */
must_check err_t vcpu_init(const struct kvm_vcpu *v, const struct vcpu_host *h, vcpu_id id,
			   uint32_t vcpus, struct diag *d, struct cpuid *ret_given);
/* The boot processor's registers, as the loader chose them. */
must_check err_t vcpu_set_entry(const struct kvm_vcpu *v, const struct x86_regs *regs,
				const struct x86_sregs *sregs, struct diag *d);

uint32_t vcpu_tsc_khz(const struct kvm_vcpu *v); /* 0: KVM does not say */
/* The host's own frequency, which can be asked of a vCPU alone: one that is new runs at it. */
void vcpu_host_ask_tsc(const struct kvm_vcpu *fresh, struct vcpu_host *h);

/* What a TSC with offset 0 would read now, scaled as the guest's are. Taken once for all vCPUs, so
 * that their differences survive. */
must_check err_t tsc_base(const struct kvm_vcpu *any, bool is_scaled, struct diag *d,
			  uint64_t *ret_now);
/* Does a vCPU of that TSC frequency count at another than the host? */
bool vcpu_tsc_is_scaled(const struct vcpu_host *h, uint32_t khz);

/* How many cycles a TSC of that frequency counts meanwhile; 0 when that is not known. */
uint64_t tsc_cycles(uint64_t ns, uint32_t khz);

/* Save: MP_STATE first (reading it settles pending INIT and SIPI), VCPU_EVENTS last. */
must_check err_t vcpu_save(const struct kvm_vcpu *v, struct quiesced q, const struct vcpu_host *h,
			   const struct cpuid_kept *given, vcpu_id id, uint64_t tsc_now,
			   struct diag *d, struct vcpu_x86_64 *ret);

/* Can this host run it at all: features, XSAVE size, TSC frequency.
 * Makes no KVM call. */
must_check err_t vcpu_judge(const struct vcpu_x86_64 *s, const struct vcpu_host *h, struct diag *d);

/* Makes a fresh vCPU the same kind of processor: what cannot be changed once it has run. */
must_check err_t vcpu_shape(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s,
			    const struct vcpu_host *h, struct diag *d);
/* What one that was shaped and has run nothing holds already: what is equal need not be set, and on
 * some hosts each call costs microseconds. */
struct vcpu_fresh {
	uint32_t mp_state;
	uint32_t n_xcrs;
	struct x86_xcr xcrs[X86_XCRS_MAX];
	struct x86_debugregs debugregs;
	struct x86_events events;
	uint32_t n_msrs;
	struct x86_msr msrs[X86_MSRS_MAX];
};
must_check err_t vcpu_fresh_read(const struct kvm_vcpu *v, const struct vcpu_host *h,
				 struct diag *d, struct vcpu_fresh *ret);
/* Then its registers: everything that does not count in host time. `fresh` may be NULL: all is set. */
must_check err_t vcpu_load(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s,
			   const struct vcpu_fresh *fresh, struct diag *d);

/* The rest, once the irqchip, PIT and clock are there and just before the first run: TSC offset,
 * local APIC with its timer, MSRs that depend on both, TSC_DEADLINE, events, and the notice to
 * the guest's watchdog that it was stopped. */
must_check err_t vcpu_load_time(const struct kvm_vcpu *v, const struct vcpu_x86_64 *s,
				uint64_t tsc_now, const struct vcpu_fresh *fresh, struct diag *d);
/* Tells the guest's soft-lockup watchdog that it was paused. */
void vcpu_notify_paused(const struct kvm_vcpu *v);
