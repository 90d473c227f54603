/* SPDX-License-Identifier: Apache-2.0 */
/* Why a vCPU came out of the guest, as a value. Port I/O is x86's alone: it is added by the
 * architecture's list, so that on another the kind does not exist. */
#pragma once

#include "base/units.h"
#include SPORE_EXIT_ARCH_H /* exit_<arch>.h, chosen by the build */

#define EXIT_KINDS(X) \
	X(NONE)        /* interrupted by a signal or asked out: look whether to park */ \
	X(MMIO_READ)                                                                    \
	X(MMIO_WRITE)                                                                   \
	X(POWEROFF)                                                                     \
	X(RESET)                                                                        \
	X(CRASH)       /* triple fault and its like */                                  \
	X(FAULT)       /* the kernel could not reach guest memory: errno in `sys` */    \
	X(INTERNAL)    /* KVM gave up: the guest did what it cannot emulate */          \
	X(UNKNOWN)                                                                      \
	EXIT_KINDS_ARCH(X)

enum exit_kind {
#define X(name) EXIT_##name,
	EXIT_KINDS(X)
#undef X
};

struct vcpu_exit {
	enum exit_kind kind;
	gpa_t at;          /* MMIO */
	struct exit_arch arch; /* what the architecture's own kinds carry */
	uint8_t *data;     /* MMIO and ports: `len` bytes in the run area, written back for reads */
	uint32_t len;
	int sys;
	uint64_t detail[2]; /* INTERNAL, UNKNOWN: reason and suberror */
};

struct kvm_vcpu;

/* Enters the guest once. Any access that was reported before is completed by this call. */
void vcpu_enter(const struct kvm_vcpu *v, struct vcpu_exit *ret);
/* Makes the next vcpu_enter (and a running one, with a signal) come straight back. */
void vcpu_set_immediate_exit(const struct kvm_vcpu *v, bool on);
