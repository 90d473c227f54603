/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel into a machine. Apart from the rest, so that a program which boots nothing has no part of
 * what unpacks kernels. */
#include "life/arch.h"
#include "machine/boot/boot_x86_64.h"
#include "machine/kvm/host.h"
#include "machine/vcpu/vcpu_x86_64.h"

err_t arch_load_kernel(struct vm *vm, const struct boot_request *boot, struct diag *d)
{
	struct boot_entry entry;

	TRY(boot_load(vm->geo, ram_gmem(vm->ram), boot, d, &entry));
	/* It would hang in its first instructions, without a word. */
	if (entry.is_linux && host_kvm_kind() == HOST_KVM_SOFTWARE)
		return diag_fail(d, FAIL(ERR_KVM_SOFTWARE),
				 "%s: this host's KVM is a software one and cannot run a Linux "
				 "kernel; hardware virtualisation (VT-x or AMD-V) is needed, see "
				 "`spore doctor`", boot->kernel.name);
	return vcpu_set_entry(vcpus_at(vm->vcpus, (vcpu_id){ 0 }), &entry.regs, &entry.sregs, d);
}
