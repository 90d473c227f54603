/* SPDX-License-Identifier: Apache-2.0 */
/* The VM that a machine is in, whichever way the machine then comes. */
#include "life/arch.h"
#include "life/devices.h"
#include "life/phases.h"
#include "life/state.h"

err_t vm_create(struct vm *vm, struct stopwatch *w, struct diag *d)
{
	if (!fd_is_open(vm->kvm))
		TRY(kvm_open(d, &vm->kvm));
	TRY(arch_host_new(vm->kvm.raw, d, &vm->host));
	TRY(kvm_vm_create(vm->kvm.raw, d, &vm->fd));
	stopwatch_lap(w, "VM create");
	/* Before the chips and the vCPUs: a slot that is added later waits for their readers. */
	for (uint32_t i = 0; i < geometry_ram_regions(vm->geo); i++) {
		struct ram_region r = geometry_ram_region(vm->geo, i);

		TRY(kvm_vm_add_ram(vm->fd.raw, r, ram_host(vm->ram, r), d));
	}
	stopwatch_lap(w, "register memory");
	TRY(arch_create_chips(vm->fd.raw, d));
	stopwatch_lap(w, "irqchip create");
	TRY(vcpus_new(vm->kvm.raw, vm->fd.raw,
		      topology_shape(geometry_topology(vm->geo))->vcpus,
		      (struct exit_handler){ vm_on_exit, vm }, d, &vm->vcpus));
	stopwatch_lap(w, "vCPU create");
	return OK;
}

err_t vm_assemble(struct vm *vm, const struct image *like, struct stopwatch *w, struct diag *d)
{
	const struct inventory *needed = image_inventory(like);
	struct devices_wires wires;

	TRY(vm_create(vm, w, d));
	TRY(kvm_require_caps(vm->kvm.raw, needed->caps, needed->n_caps, d));
	TRY(arch_shape(vm, like, d));
	stopwatch_lap(w, "processors");
	wires = vm_wires(vm);
	TRY(devices_new(&wires, d, &vm->devices));
	stopwatch_lap(w, "wiring");
	return OK;
}

struct devices_wires vm_wires(const struct vm *vm)
{
	return (struct devices_wires){ .vm = vm->fd.raw, .topology = geometry_topology(vm->geo),
				       .mem = ram_gmem(vm->ram), .options = &vm->options };
}
