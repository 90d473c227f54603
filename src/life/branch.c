/* SPDX-License-Identifier: Apache-2.0 */
#include "life/branch.h"

#include <errno.h>
#include <fcntl.h>

#include "life/devices.h"
#include "life/phases.h"
#include "life/state.h"
#include "life/zygote_parts.h"
#include "machine/ram/uffd.h"

/* Everything between two states of a machine that goes on in the end. */
struct branching {
	struct vm *vm;
	struct ram_branch *ram;
	struct zygote *zygote;               /* without RAM until the end */
	struct disk *over[SHAPE_DEVICES_MAX]; /* what the disks will be, by slot */
};

static void drop(struct branching *b)
{
	ram_branch_free(b->ram);
	zygote_free(b->zygote);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		disk_free(b->over[i]);
}

/* What each disk becomes: one over its own base. */
static err_t disks_prepare(struct branching *b, struct quiesced q, const struct branch_means *m,
			   struct diag *d)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < topology_slots(geometry_topology(b->vm->geo)); i++) {
		struct disk *k = devices_disk(b->vm->devices, q, i);
		fd_t none = FD_NONE, *layer = &none;

		if (k == NULL)
			continue;
		if (b->vm->below[i] != NULL)
			disk_adopt(k, b->vm->below[i]);
		TRY(disk_share(k, d, &b->zygote->disks[i]));
		if (disk_mode(k) != DISK_RO && used == m->n_layers)
			return diag_fail(d, FAIL(ERR_MISSING), "a disk has no file for its layer");
		if (disk_mode(k) != DISK_RO)
			layer = &m->layers[used++];
		TRY(disk_over(b->zygote->disks[i], layer, d, &b->over[i]));
	}
	return OK;
}

static void disks_commit(struct branching *b, struct quiesced q)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		struct disk *k;

		if (b->over[i] == NULL)
			continue;
		k = devices_disk(b->vm->devices, q, i);
		disk_hand_down(k, b->zygote->disks[i]);
		disk_go_on(k, b->zygote->disks[i], b->over[i]);
		b->over[i] = NULL;
	}
}

/* The next time it stands still it finds its disks settled; whatever becomes of the rest, they are what
 * it goes on over. */
static void lie_over(struct vm *vm, const struct zygote *z)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		disk_base_free(vm->below[i]);
		vm->below[i] = z->disks[i] == NULL ? NULL : disk_base_again(z->disks[i]);
	}
}

/* The machine stands still. What can fail comes before what cannot be taken back. */
static err_t instant(struct branching *b, const struct branch_means *m, struct diag *d)
{
	struct quiesced q = vcpus_park(b->vm->vcpus);
	err_t e;

	TRY(zygote_of_state(b->vm, q, d, &b->zygote));
	TRY(disks_prepare(b, q, m, d));
	e = ram_branch_arm(b->ram, q, d);
	if (e.code == ERR_RAM_LOST)
		vm_end(b->vm, VM_ERROR, "its memory was lost while it was branched");
	TRY(e);
	disks_commit(b, q);
	lie_over(b->vm, b->zygote);
	return OK;
}

/* It goes on whatever happened; a failure to do so is the machine's own. */
static err_t stand_still(struct branching *b, vm_running **io_vm, const struct branch_means *m,
			 struct diag *d)
{
	vm_paused *paused;
	err_t e, resumed;

	TRY(vm_pause(io_vm, d, &paused));
	e = instant(b, m, d);
	resumed = vm_resume(&paused, failed(e) ? NULL : d, io_vm);
	if (failed(resumed))
		*io_vm = vm_as_running(b->vm); /* it has ended, and says so */
	return failed(e) ? e : resumed;
}

/* What an earlier branch could not do. Nobody else has these by then, if it failed. */
static err_t settle_below(struct vm *vm, const struct branch_means *m, struct diag *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		if (vm->below[i] == NULL || disk_base_mode(vm->below[i]) == DISK_RO)
			continue;
		TRY(disk_base_settle(vm->below[i], m->merged == NULL ? NULL : &m->merged[n], d));
		n++;
	}
	return OK;
}

static err_t finish(struct branching *b, const struct branch_means *m, struct diag *d)
{
	err_t e = ram_branch_finish(b->ram, d, &b->zygote->ram);
	err_t settled = zygote_settle(b->zygote, m->merged, failed(e) ? NULL : d);

	return failed(e) ? e : settled;
}

static err_t branch(struct branching *b, vm_running **io_vm, const struct branch_means *m,
		    struct diag *d, struct branch_times *t)
{
	uint64_t began = clock_ns(), stopped, went_on;

	TRY(settle_below(b->vm, m, d));
	TRY(ram_branch_prepare(b->vm->ram, m->ram, d, &b->ram));
	stopped = clock_ns();
	TRY(stand_still(b, io_vm, m, d));
	went_on = clock_ns();
	TRY(finish(b, m, d));
	b->zygote->parent = b->vm->parent;
	b->vm->parent = b->zygote->id;
	*t = (struct branch_times){ stopped - began, went_on - stopped, clock_ns() - went_on };
	return OK;
}

static err_t branch_with(vm_running **io_vm, const struct branch_means *m, struct diag *d,
			 struct zygote **ret_zygote, struct branch_times *ret_times)
{
	struct branching b = { .vm = vm_of(*io_vm) };
	err_t e = branch(&b, io_vm, m, d, ret_times);

	if (!failed(e)) {
		*ret_zygote = b.zygote;
		b.zygote = NULL;
	}
	drop(&b);
	return e;
}

/* ---- what is opened here ---- */

struct opened {
	fd_t uffd, page_map;
	fd_t layers[SHAPE_DEVICES_MAX];
	uint32_t n; /* of layers */
};

static void opened_drop(struct opened *o)
{
	fd_drop(&o->uffd);
	fd_drop(&o->page_map);
	for (uint32_t i = 0; i < o->n; i++)
		fd_drop(&o->layers[i]);
}

static err_t open_all(const struct vm *vm, struct diag *d, struct opened *o)
{
	/* Who may not serve faults copies while the machine stands still. */
	if (failed(uffd_open(-1, NULL, &o->uffd)))
		o->uffd = FD_NONE;
	o->page_map = (fd_t){ open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) };
	if (!fd_is_open(o->page_map))
		return diag_sys(d, FAIL_SYS(errno), "opening /proc/self/pagemap");
	for (uint32_t i = 0; i < topology_slots(geometry_topology(vm->geo)); i++)
		if (devices_disk_use(vm->devices, i).mode != DISK_RO)
			TRY(layer_file_new(NULL, devices_disk_use(vm->devices, i).capacity, d,
					   &o->layers[o->n++]));
	return OK;
}

err_t vm_branch(vm_running **io_vm, const struct branch_means *means, struct diag *d,
		struct zygote **ret_zygote, struct branch_times *ret_times)
{
	struct opened o = { .uffd = FD_NONE, .page_map = FD_NONE };
	struct branch_means m;
	err_t e;

	if (means != NULL)
		return branch_with(io_vm, means, d, ret_zygote, ret_times);
	e = open_all(vm_of(*io_vm), d, &o);
	m = (struct branch_means){ { o.uffd.raw, o.page_map.raw, NULL }, o.layers, NULL, o.n };
	if (!failed(e))
		e = branch_with(io_vm, &m, d, ret_zygote, ret_times);
	opened_drop(&o);
	return e;
}
