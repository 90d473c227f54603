/* SPDX-License-Identifier: Apache-2.0 */
/* Which model-specific registers are part of a machine's state. */
#pragma once

#include "base/diag.h"
#include "machine/vcpu/cpuid_x86_64.h"
#include "wire/state_x86_64.h"

struct msr_list {
	uint32_t n;
	uint32_t index[X86_MSRS_MAX]; /* ascending, no index twice, never IA32_TSC */
};

/* KVM's index list and what the guest's CPUID implies, of it what is state (wire/msr_x86_64.h). */
must_check err_t msr_list_make(int kvm, const struct cpuid *c, struct diag *d, struct msr_list *ret);
