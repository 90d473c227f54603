/* SPDX-License-Identifier: Apache-2.0 */
/* What a vCPU's state is made of, each as KVM has it and sets it. Inside machine/vcpu/ only. */
#pragma once

#include "machine/vcpu/vcpu_x86_64.h"

enum { LEGACY_XSAVE = 4096 };

must_check err_t regs_get(const struct kvm_vcpu *v, struct x86_regs *to, struct diag *d);
must_check err_t regs_set(const struct kvm_vcpu *v, const struct x86_regs *from, struct diag *d);
must_check err_t sregs_get(const struct kvm_vcpu *v, struct x86_sregs *to, struct diag *d);
must_check err_t sregs_set(const struct kvm_vcpu *v, const struct x86_sregs *from, struct diag *d);
must_check err_t xsave_get(const struct kvm_vcpu *v, uint32_t size, struct vcpu_x86_64 *to,
			   struct diag *d);
must_check err_t xcrs_get(const struct kvm_vcpu *v, struct vcpu_x86_64 *to, struct diag *d);
must_check err_t xcrs_set(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from, struct diag *d);
must_check err_t debugregs_get(const struct kvm_vcpu *v, struct x86_debugregs *to, struct diag *d);
must_check err_t debugregs_set(const struct kvm_vcpu *v, const struct x86_debugregs *from,
			       struct diag *d);
must_check err_t events_get(const struct kvm_vcpu *v, struct x86_events *to, struct diag *d);
must_check err_t events_set(const struct kvm_vcpu *v, const struct x86_events *s,
			    const struct vcpu_fresh *fresh, struct diag *d);

must_check err_t msrs_get(const struct kvm_vcpu *v, const struct msr_list *l, struct vcpu_x86_64 *to,
			  struct diag *d);
must_check err_t msrs_set(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from,
			  const struct vcpu_fresh *fresh, struct diag *d);
must_check err_t msr_read(const struct kvm_vcpu *v, uint32_t index, struct diag *d, uint64_t *ret);

/* `call` gets or sets it. */
must_check err_t tsc_offset(const struct kvm_vcpu *v, unsigned long call, uint64_t *offset,
			    struct diag *d);
