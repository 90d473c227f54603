/* SPDX-License-Identifier: Apache-2.0 */
/* The processor a guest sees: KVM's supported CPUID with our topology in it, and the comparison
 * that says whether this host can go on with a processor that another host began. */
#pragma once

#include "base/diag.h"
#include "wire/state_x86_64.h"

struct cpuid {
	uint32_t n;
	struct x86_cpuid_entry entries[X86_CPUID_MAX];
};
/* The same, kept for long: no longer than it is. */
struct cpuid_kept {
	uint32_t n;
	struct x86_cpuid_entry *entries; /* owned */
};

/* What this KVM supports, without what a machine never gets: nested virtualisation, performance
 * counters and tracing (their state is not saved), SGX. */
must_check err_t cpuid_supported(int kvm, struct diag *d, struct cpuid *ret);

/* The same as vCPU `id` of `vcpus` sees it: APIC ids, one thread per core, one package. */
void cpuid_for_vcpu(struct cpuid *c, vcpu_id id, uint32_t vcpus);

/* Every feature bit of `wanted` must be in `host`, and XSAVE areas must have the same layout:
 * ERR_CPU_FEATURE naming each missing bit otherwise. */
must_check err_t cpuid_compatible(const struct cpuid *host, const struct x86_cpuid_entry *wanted,
				  uint32_t n_wanted, struct diag *d);
