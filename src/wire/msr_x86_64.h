/* SPDX-License-Identifier: Apache-2.0 */
/* Which model-specific registers are part of an x86-64 machine's state (Intel SDM volume 4, AMD APM
 * volume 2 appendix A, Documentation/virt/kvm/x86/msr.rst). A snapshot may hold no others, so a
 * file cannot set one that nobody thought of; docs/snapshot-format.md has the table. */
#pragma once

#include "base/check.h"

enum { MSR_IA32_TSC = 0x10, MSR_IA32_TSC_DEADLINE = 0x6E0 };

must_check bool x86_msr_is_state(uint32_t index);
