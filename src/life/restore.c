/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot -> vm_paused, in a new VM. Judged before anything is built: the image is the proof for
 * the file, and the host is compared with what the image needs before its state is loaded. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "life/arch.h"
#include "life/devices.h"
#include "life/phases.h"
#include "life/snapshot_file.h"
#include "life/state.h"

static void take_note(struct vm *vm, const struct image *i, const struct restore_options *o)
{
	vm->note = *image_note(i);
	vm->generation = image_head(i)->generation + 1;
	if (o->name != NULL) {
		memset(vm->note.name, 0, sizeof vm->note.name);
		memcpy(vm->note.name, o->name, strnlen(o->name, sizeof vm->note.name - 1));
	}
}

static err_t require_caps(int kvm, const struct image *i, struct diag *d)
{
	const struct inventory *needed = image_inventory(i);

	return kvm_require_caps(kvm, needed->caps, needed->n_caps, d);
}

err_t snapshot_check_unchanged(const struct snapshot *s, struct diag *d)
{
	struct stat st;

	if (fstat(s->fd.raw, &st) != 0)
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "cannot be examined");
	if ((uint64_t)st.st_size != image_head(s->image)->total.v ||
	    st.st_mtim.tv_sec != s->mtime_sec || st.st_mtim.tv_nsec != s->mtime_nsec)
		return diag_fail(d, FAIL(ERR_CHANGED), "was changed while it was being restored");
	return OK;
}

static err_t map_ram(struct vm *vm, const struct snapshot *in, struct diag *d)
{
	struct ram_base *base;
	err_t e;

	TRY(ram_reserve(vm->geo, d, &vm->ram));
	TRY(ram_base_of_file(in->fd.raw, image_row(in->image, SECT_RAM, 0)->offset,
			     geometry_ram(vm->geo), image_ram_map(in->image), d, &base));
	e = ram_attach(vm->ram, base, d);
	ram_base_free(base);
	return e;
}

static err_t restore(struct vm *vm, struct snapshot *in, const struct restore_options *o,
		     struct diag *d)
{
	const struct image *i = in->image;
	struct stopwatch w = stopwatch_start(&vm->times);

	stopwatch_add(&w, "load and verify", in->load_ns);
	take_note(vm, i, o);
	TRY(map_ram(vm, in, d));
	stopwatch_lap(&w, "map");
	TRY(vm_assemble(vm, i, &w, d));
	TRY(arch_load(vm, i, d));
	vm->time_due = image_again(i);
	stopwatch_lap(&w, "vCPU state");
	TRY(devices_restore(vm->devices, i, in->path, o, d));
	TRY(devices_renew_generation(vm->devices, true, d));
	stopwatch_lap(&w, "devices");
	/* What was judged is what was mapped: from here on the watch says when somebody writes to
	 * it. */
	TRY(vm_watch_file(vm, in->path, in->fd.raw, d));
	return snapshot_check_unchanged(in, d);
}

err_t vm_restore(struct snapshot *in, const struct restore_options *o, const struct vm_options *vo,
		 struct diag *d, vm_paused **ret_vm)
{
	struct vm *vm;
	err_t e;

	if (o->verify)
		TRY(snapshot_verify(in, o->progress, o->ctx, d));
	TRY(vm_alloc(image_geometry(in->image), vo, d, &vm));
	e = restore(vm, in, o, d);
	if (failed(e)) {
		diag_prefix(d, in->path);
		vm_free(vm);
		return e;
	}
	*ret_vm = vm_as_paused(vm);
	return OK;
}

err_t snapshot_check_host(const struct snapshot *s, struct diag *d)
{
	struct disk_base *disks[SHAPE_DEVICES_MAX] = { 0 };
	struct arch_host *host;
	owned_fd kvm = FD_NONE;
	err_t e;

	TRY(kvm_open(d, &kvm));
	TRY(require_caps(kvm.raw, s->image, d));
	TRY(arch_host_new(kvm.raw, d, &host));
	e = arch_judge(host, s->image, d);
	arch_host_free(host);
	TRY(e);
	e = devices_open_disks(s->image, s->path, d, disks);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		disk_base_free(disks[i]);
	return e;
}
