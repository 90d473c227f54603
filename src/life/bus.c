/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU's exit goes to what answers it: a device's registers, a port, or the end of the machine.
 * Runs on the vCPU's thread. */
#include <inttypes.h>
#include <string.h>

#include "life/arch.h"
#include "life/devices.h"
#include "life/vm_internal.h"

#define RAM_CUT "the snapshot file behind the guest's RAM was cut short while it ran"

/* An address in RAM never exits unless the memory behind it is gone: a mapped file was cut
 * short. It is not a device access, whatever lies at that address. */
static bool in_ram(const struct vm *vm, gpa_t at)
{
	return gmem_holds(ram_gmem(vm->ram), at, BYTES(1));
}

/* What a guest without its memory does next is not its own doing: a triple fault as likely as an
 * access that cannot be made. So before any of it is blamed on the guest or on KVM, look. */
static bool ended_by_cut(struct vm *vm)
{
	if (!ram_is_cut(vm->ram))
		return false;
	vm_end(vm, VM_ERROR, "%s", RAM_CUT);
	return true;
}

static bool mmio(struct vm *vm, const struct vcpu_exit *exit)
{
	bool write = exit->kind == EXIT_MMIO_WRITE;

	if (in_ram(vm, exit->at)) {
		if (!ended_by_cut(vm))
			vm_end(vm, VM_ERROR, "guest RAM at %#" PRIx64 " cannot be reached",
			       exit->at.v);
		return false;
	}
	/* An empty place on the bus reads all ones and ignores writes. */
	if (!devices_mmio(vm->devices, exit->at, exit->data, exit->len, write) && !write)
		memset(exit->data, 0xFF, exit->len);
	return true;
}

static void tell_first_exit(struct vm *vm)
{
	vm->exit_told = true;
	if (vm->options.first_exit != NULL)
		vm->options.first_exit(vm->options.ctx, vcpus_first_entry(vm->vcpus),
				       vcpus_first_exit(vm->vcpus));
}

bool vm_on_exit(void *ctx, vcpu_id id, const struct vcpu_exit *exit)
{
	struct vm *vm = ctx;

	if (id.v == 0 && !vm->exit_told)
		tell_first_exit(vm);
	switch (exit->kind) {
	case EXIT_NONE:
		return true;
	case EXIT_MMIO_READ:
	case EXIT_MMIO_WRITE:
		return mmio(vm, exit);
	case EXIT_POWEROFF:
		vm_end(vm, VM_POWEROFF, "%s", "");
		return false;
	case EXIT_RESET:
		vm_end(vm, VM_RESET, "%s", "");
		return false;
	case EXIT_CRASH:
		if (!ended_by_cut(vm))
			vm_end(vm, VM_CRASH, "vCPU %" PRIu32 ": triple fault", id.v);
		return false;
	case EXIT_FAULT:
		if (!ended_by_cut(vm))
			vm_end(vm, VM_ERROR, "vCPU %" PRIu32 ": KVM_RUN: %s", id.v,
			       strerrordesc_np(exit->sys));
		return false;
	case EXIT_INTERNAL:
		if (!ended_by_cut(vm))
			vm_end(vm, VM_ERROR,
			       "vCPU %" PRIu32 ": KVM could not go on (suberror %" PRIu64 "): the "
			       "guest did what this KVM cannot emulate", id.v, exit->detail[0]);
		return false;
	case EXIT_UNKNOWN:
		if (!ended_by_cut(vm))
			vm_end(vm, VM_ERROR, "vCPU %" PRIu32 ": unexpected exit %" PRIu64, id.v,
			       exit->detail[0]);
		return false;
#define X(name) case EXIT_##name:
	EXIT_KINDS_ARCH(X)
#undef X
		return arch_exit(vm, exit);
	}
	unreachable_by_type();
}
