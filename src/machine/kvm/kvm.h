/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's calls as typed functions (Documentation/virt/kvm/api.rst), one ioctl each. Nothing above
 * machine/ sees a KVM structure, and only this folder and the *_<arch>.c files of machine/ include
 * the kernel's header.
 *
 * A VM belongs to the process that created it: calls from any other, even after fork, fail. */
#pragma once

#include "base/diag.h"
#include "base/own.h"
#include "plan/geometry.h"

/* Opens /dev/kvm and checks the API version: ERR_NO_KVM, ERR_KVM_ACCESS. */
must_check err_t kvm_open(struct diag *d, fd_t *ret_kvm);
/* The value of a capability, 0 when absent. */
int kvm_cap(int kvm, uint32_t cap);

/* The capabilities every machine needs, ascending; also written into a snapshot's inventory. */
struct kvm_cap_name { uint32_t cap; const char *name; };
const struct kvm_cap_name *kvm_needed_caps(size_t *ret_n);
/* ERR_KVM_CAP naming the first that is absent. Unknown numbers are named by number. */
must_check err_t kvm_require_caps(int kvm, const uint32_t *caps, size_t n, struct diag *d);

must_check err_t kvm_vm_create(int kvm, struct diag *d, fd_t *ret_vm);
/* Registers guest RAM. Call before the irqchip or a vCPU exists: a slot change waits for the
 * readers of the old slots then, which costs about ten times as much. */
must_check err_t kvm_vm_add_ram(int vm, struct ram_region region, void *host, struct diag *d);
/* A guest's 32-bit write of `match` to `at` signals `eventfd` without an exit. */
must_check err_t kvm_vm_ioeventfd(int vm, gpa_t at, uint32_t match, int eventfd, struct diag *d);
/* A signal on `eventfd` is an edge on `gsi`. */
must_check err_t kvm_vm_irqfd(int vm, gsi_t gsi, int eventfd, struct diag *d);
/* An edge on `gsi`, which has reached the chips when this returns. An irqfd needs a thread of the
 * kernel's for it: ten times as much, for one that is raised once. */
void kvm_vm_pulse(int vm, gsi_t gsi);

struct kvm_vcpu {
	fd_t fd;
	map_t run; /* struct kvm_run, shared with the kernel */
};
must_check err_t kvm_vcpu_create(int kvm, int vm, vcpu_id id, struct diag *d,
				 struct kvm_vcpu *ret_vcpu);
void kvm_vcpu_drop(struct kvm_vcpu *v);

/* One ioctl; a failure is ERR_KVM with the call's name and the system's reason in *d. The result
 * of calls that return a count goes to *ret_value unless NULL. */
must_check err_t kvm_call(int fd, unsigned long request, void *arg, const char *name,
			  struct diag *d, int *ret_value);
