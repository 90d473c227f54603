/* SPDX-License-Identifier: Apache-2.0 */
/* geometry -> vm_built: a machine that was never run, with its kernel in place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "life/arch.h"
#include "life/devices.h"
#include "life/phases.h"
#include "life/state.h"
#include "machine/boot/boot.h"

/* A machine that was given no name gets one that is not likely to be another's. */
static void note_config(struct vm *vm, const struct config *c)
{
	const struct request *r = config_request(c);
	struct machine_note *note = &vm->note;
	const uint8_t *id = vm->machine_id;

	(void)snprintf(note->name, sizeof note->name, "machine-%02x%02x%02x%02x", id[0], id[1],
		       id[2], id[3]);
	if (r->name != NULL)
		(void)snprintf(note->name, sizeof note->name, "%s", r->name);
	(void)snprintf(note->kernel, sizeof note->kernel, "%s", r->kernel);
	(void)snprintf(note->initrd, sizeof note->initrd, "%s", r->initrd == NULL ? "" : r->initrd);
	(void)snprintf(note->cmdline, sizeof note->cmdline, "%s", r->cmdline);
	note->boot_method = (uint32_t)r->boot;
}

static err_t require_caps(struct vm *vm, struct diag *d)
{
	size_t n;
	const struct kvm_cap_name *needed = kvm_needed_caps(&n);

	for (size_t i = 0; i < n; i++)
		TRY(kvm_require_caps(vm->kvm.raw, &needed[i].cap, 1, d));
	return OK;
}

static err_t open_boot_file(const char *path, const char *what, struct diag *d, fd_t *ret)
{
	/* Not blocking: a FIFO must not hold us before it can be refused. */
	*ret = (fd_t){ open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) };
	if (!fd_is_open(*ret))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: the %s cannot be opened", path,
				what);
	return OK;
}

static err_t load_kernel(struct vm *vm, const struct request *r, struct diag *d)
{
	owned_fd kernel = FD_NONE, initrd = FD_NONE;
	struct boot_request boot = { .initrd = { -1, "" }, .cmdline = r->cmdline,
				     .method = r->boot };

	TRY(open_boot_file(r->kernel, "kernel", d, &kernel));
	boot.kernel = (struct boot_file){ kernel.raw, r->kernel };
	if (r->initrd != NULL) {
		TRY(open_boot_file(r->initrd, "initrd", d, &initrd));
		boot.initrd = (struct boot_file){ initrd.raw, r->initrd };
	}
	return arch_load_kernel(vm, &boot, d);
}

static err_t build(struct vm *vm, const struct config *cfg, struct diag *d)
{
	struct stopwatch w = stopwatch_start(&vm->times);
	struct devices_wires wires;

	note_config(vm, cfg);
	TRY(ram_new(vm->geo, d, &vm->ram));
	stopwatch_lap(&w, "map");
	TRY(vm_create(vm, &w, d));
	TRY(require_caps(vm, d));
	TRY(arch_init_vcpus(vm, d));
	stopwatch_lap(&w, "vCPU state");
	wires = vm_wires(vm);
	TRY(devices_new(&wires, d, &vm->devices));
	TRY(devices_boot(vm->devices, cfg, d));
	TRY(devices_renew_generation(vm->devices, false, d));
	stopwatch_lap(&w, "devices");
	TRY(load_kernel(vm, config_request(cfg), d));
	stopwatch_lap(&w, "load kernel");
	return OK;
}

err_t vm_build(const struct config *cfg, const struct geometry *in, const struct vm_options *o,
	       struct diag *d, vm_built **ret_vm)
{
	struct vm *vm;
	err_t e;

	TRY(vm_alloc(in, o, d, &vm));
	e = build(vm, cfg, d);
	if (failed(e)) {
		vm_free(vm);
		return e;
	}
	*ret_vm = vm_as_built(vm);
	return OK;
}
