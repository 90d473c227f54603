/* SPDX-License-Identifier: Apache-2.0 */
/* zygote -> vm_paused: in a shell that was ready, or in one that is built now. */
#include <inttypes.h>
#include <string.h>

#include "life/arch.h"
#include "life/devices.h"
#include "life/phases.h"
#include "life/spawn.h"
#include "life/state.h"
#include "life/zygote_parts.h"
#include "machine/disk/layer_files.h"

/* ---- shells ---- */

static err_t layers_make(struct vm *vm, const struct image *like, struct diag *d)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(vm->geo)); i++) {
		struct blk_view view;

		if (device_as_blk(image_device(like, (slot_id){ i }), &view))
			TRY(layer_files_take(vm->layers, view.dev->blk.capacity, d,
					     &vm->layer[i]));
	}
	return OK;
}

static err_t shell(struct vm *vm, const struct image *like, struct shell_options *o, struct diag *d)
{
	struct stopwatch w = stopwatch_start(&vm->times);

	vm->kvm = fd_take(&o->kvm);
	vm->layers = o->layers == NULL ? NULL : layer_files_again(o->layers);
	TRY(ram_reserve(vm->geo, d, &vm->ram));
	ram_give_page_map(vm->ram, &o->page_map);
	TRY(vm_assemble(vm, like, &w, d));
	TRY(devices_start(vm->devices, d));
	TRY(arch_warm(vm, d));
	return vm->layers == NULL ? OK : layers_make(vm, like, d);
}

err_t shell_give_layers(vm_shell *s, fd_t *files, uint32_t n, struct diag *d)
{
	struct vm *vm = vm_of_shell(s);
	const struct topology *t = geometry_topology(vm->geo);
	uint32_t used = 0;

	if (n != topology_disks(t))
		return diag_fail(d, FAIL(ERR_MISSING), "%" PRIu32 " files for the layers of %" PRIu32
				 " disks", n, topology_disks(t));
	for (uint32_t i = 0; i < topology_slots(t); i++) {
		if (topology_slot(t, i)->kind != DEV_BLK)
			continue;
		fd_drop(&vm->layer[i]);
		vm->layer[i] = fd_take(&files[used++]);
	}
	return OK;
}

err_t shell_make(const struct image *like, struct shell_options *o, struct diag *d,
		 vm_shell **ret_shell)
{
	struct vm_options nobody = { 0 };
	struct vm *vm;
	err_t e;

	TRY(vm_alloc(image_geometry(like), &nobody, d, &vm));
	e = shell(vm, like, o, d);
	if (failed(e)) {
		vm_free(vm);
		return e;
	}
	*ret_shell = vm_as_shell(vm);
	return OK;
}

err_t shell_confine(vm_shell *s, struct diag *d)
{
	struct vm *vm = vm_of_shell(s);

	vm->confined = true;
	TRY(vcpus_confine(vm->vcpus, vcpus_park(vm->vcpus), d));
	return devices_confine(vm->devices, d);
}

static err_t shapes_fit(const struct shape *have, const struct shape *want, struct diag *d)
{
	if (have->vcpus != want->vcpus)
		return diag_fail(d, FAIL(ERR_TOPOLOGY), "it has %" PRIu32 " vCPUs, expected %" PRIu32,
				 want->vcpus, have->vcpus);
	if (have->ram.v != want->ram.v)
		return diag_fail(d, FAIL(ERR_TOPOLOGY), "it has %" PRIu64 " bytes of RAM, expected "
				 "%" PRIu64, want->ram.v, have->ram.v);
	if (have->n_devices != want->n_devices)
		return diag_fail(d, FAIL(ERR_TOPOLOGY), "it has %" PRIu32 " devices, expected "
				 "%" PRIu32, want->n_devices, have->n_devices);
	for (uint32_t i = 0; i < have->n_devices; i++) {
		const struct dev_shape *a = &have->devices[i], *b = &want->devices[i];

		if (a->kind != b->kind || a->queues != b->queues)
			return diag_fail(d, FAIL(ERR_TOPOLOGY), "in slot %" PRIu32 " it has %s with "
					 "%" PRIu32 " queues, expected %s with %" PRIu32, i,
					 dev_kind_word(b->kind), b->queues, dev_kind_word(a->kind),
					 a->queues);
	}
	return OK;
}

static const struct shape *shape_of(const struct geometry *g)
{
	return topology_shape(geometry_topology(g));
}

err_t shell_fits(const vm_shell *s, const struct zygote *z, struct diag *d)
{
	const struct vm *vm = vm_of_shell(s);

	TRY(shapes_fit(shape_of(vm->geo), shape_of(image_geometry(z->image)), d));
	return arch_fits(vm, z->image, d);
}

/* Files for private layers are made ahead, as long as the disks. */
static err_t disks_fit(const struct image *have, const struct image *want, struct diag *d)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(image_geometry(have))); i++) {
		struct blk_view a, b;

		if (device_as_blk(image_device(have, (slot_id){ i }), &a) &&
		    device_as_blk(image_device(want, (slot_id){ i }), &b) &&
		    a.dev->blk.capacity.v != b.dev->blk.capacity.v)
			return diag_fail(d, FAIL(ERR_TOPOLOGY), "in slot %" PRIu32 " it has a disk of "
					 "%" PRIu64 " bytes, expected %" PRIu64, i,
					 b.dev->blk.capacity.v, a.dev->blk.capacity.v);
	}
	return OK;
}

err_t layouts_fit(const struct image *have, const struct zygote *z, struct diag *d)
{
	const struct geometry *a = image_geometry(have), *b = image_geometry(z->image);

	TRY(shapes_fit(shape_of(a), shape_of(b), d));
	TRY(disks_fit(have, z->image, d));
	return arch_alike(have, z->image, d);
}

/* ---- spawning ---- */

/* The disks that a child runs on, by slot: the zygote's, each with a file for its private layer. */
static err_t child_disks(struct vm *vm, const struct zygote *z, struct diag *d,
			 struct spawn_disk *ret)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		ret[i] = (struct spawn_disk){ z->disks[i], fd_take(&vm->layer[i]), vm->layers };
		if (z->disks[i] == NULL || fd_is_open(ret[i].layer) ||
		    disk_base_mode(z->disks[i]) != DISK_COW)
			continue;
		TRY(layer_files_take(z->layers, disk_base_capacity(z->disks[i]), d,
				     &ret[i].layer));
		ret[i].home = z->layers;
	}
	return OK;
}

static err_t fill_devices(struct vm *vm, const struct zygote *z, struct diag *d)
{
	struct spawn_disk disks[SHAPE_DEVICES_MAX];
	err_t e;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		disks[i] = (struct spawn_disk){ NULL, FD_NONE, NULL };
	e = child_disks(vm, z, d, disks);
	if (!failed(e))
		e = devices_spawn(vm->devices, z->image, disks, d);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		fd_drop(&disks[i].layer);
	TRY(e);
	return devices_renew_generation(vm->devices, true, d);
}

static void identify(struct vm *vm, const struct identity *id)
{
	vm->clock = id->clock;
	if (id->name != NULL) {
		memset(vm->note.name, 0, sizeof vm->note.name);
		memcpy(vm->note.name, id->name, strnlen(id->name, sizeof vm->note.name - 1));
	}
}

static err_t load(struct vm *vm, const struct zygote *z, const struct identity *id,
		  struct stopwatch *w, struct diag *d)
{
	vm->note = *image_note(z->image);
	vm->generation = image_head(z->image)->generation + 1;
	vm->parent = z->id;
	identify(vm, id);
	TRY(arch_load(vm, z->image, d));
	vm->time_due = image_again(z->image);
	stopwatch_lap(w, "vCPU state");
	TRY(fill_devices(vm, z, d));
	stopwatch_lap(w, "devices");
	return OK;
}

static err_t spawn_cold(struct vm *vm, const struct zygote *z, const struct identity *id,
			struct diag *d)
{
	struct stopwatch w = stopwatch_since(&vm->times, vm->options.since_ns);

	stopwatch_lap(&w, "handle");
	TRY(ram_reserve(vm->geo, d, &vm->ram));
	TRY(ram_attach(vm->ram, z->ram, d));
	stopwatch_lap(&w, "map");
	TRY(vm_assemble(vm, z->image, &w, d));
	return load(vm, z, id, &w, d);
}

static err_t spawn_in(struct vm *vm, const struct zygote *z, const struct identity *id,
		      struct diag *d)
{
	struct stopwatch w = stopwatch_since(&vm->times, vm->options.since_ns);

	stopwatch_lap(&w, "handle");
	TRY(ram_attach(vm->ram, z->ram, d));
	stopwatch_lap(&w, "map");
	return load(vm, z, id, &w, d);
}

err_t vm_spawn(struct zygote *z, const struct identity *id, const struct vm_options *o,
	       struct diag *d, vm_paused **ret_vm)
{
	struct zygote *own;
	struct vm *vm;
	err_t e;

	TRY(vm_alloc(image_geometry(z->image), o, d, &vm));
	e = zygote_for(z, id, d, &own);
	if (!failed(e)) {
		e = spawn_cold(vm, own, id, d);
		zygote_free(own);
	}
	if (failed(e)) {
		vm_free(vm);
		return e;
	}
	*ret_vm = vm_as_paused(vm);
	return OK;
}

err_t vm_spawn_in(vm_shell **in, struct zygote *z, const struct identity *id,
		  const struct vm_options *o, struct diag *d, vm_paused **ret_vm)
{
	struct vm *vm = vm_of_shell(*in);
	struct zygote *own;
	err_t e;

	TRY(shell_fits(*in, z, d));
	TRY(zygote_for(z, id, d, &own));
	*in = NULL;
	vm->options = *o;
	e = spawn_in(vm, own, id, d);
	zygote_free(own);
	if (failed(e)) {
		vm_free(vm);
		return e;
	}
	*ret_vm = vm_as_paused(vm);
	return OK;
}

void vm_claim(vm_paused *armed, const struct identity *id, const struct vm_options *o)
{
	struct vm *vm = vm_of_paused(armed);
	struct stopwatch w = stopwatch_since(&vm->times, o->since_ns);

	vm->options = *o;
	identify(vm, id);
	stopwatch_lap(&w, "handle");
}
