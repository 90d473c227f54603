/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes made from a paused machine and from a snapshot file. */
#include "life/zygote.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/capture.h"
#include "life/snapshot_file.h"
#include "life/state.h"
#include "life/zygote_parts.h"
#include "machine/disk/layer_files.h"

enum { LAYERS_KEPT = 16 };

err_t zygote_of_front(uint8_t **front, size_t len, bytes_t total, struct diag *d,
		      struct zygote **ret)
{
	struct zygote *z = calloc(1, sizeof *z);
	err_t e;

	if (z == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&z->references);
	pthread_mutex_init(&z->pack_lock, NULL);
	z->packed = z->unpacked = z->maker = FD_NONE;
	e = layer_files_new(LAYERS_KEPT, &z->layers);
	if (!failed(e))
		e = image_parse(cur_of(*front, len), FOFF(total.v), d, &z->image);
	if (!failed(e) && getrandom(&z->id, sizeof z->id, 0) != sizeof z->id)
		e = diag_sys(d, FAIL_SYS(errno), "naming a zygote");
	if (failed(e)) {
		zygote_free(z);
		return e;
	}
	z->front = *front;
	z->front_len = len;
	z->total = total;
	*front = NULL;
	*ret = z;
	return OK;
}

struct zygote *zygote_again(struct zygote *z)
{
	refs_take(&z->references);
	return z;
}

void zygote_free(struct zygote *z)
{
	if (z == NULL || !refs_drop(&z->references))
		return;
	image_free(z->image);
	free(z->front);
	fd_drop(&z->packed);
	fd_drop(&z->unpacked);
	fd_drop(&z->maker);
	zygote_lent_drop(z);
	pthread_mutex_destroy(&z->pack_lock);
	ram_base_free(z->ram);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		disk_base_free(z->disks[i]);
	layer_files_free(z->layers);
	free(z);
}

struct zygote_id zygote_id(const struct zygote *z)
{
	return z->id;
}

struct zygote_id zygote_parent(const struct zygote *z)
{
	return z->parent;
}

const struct image *zygote_image(const struct zygote *z)
{
	return z->image;
}

/* ---- from a machine ---- */

/* The state goes through the judge of files, so that there is one kind of image. RAM and disks are
 * not in it. */
err_t zygote_of_state(struct vm *vm, struct quiesced q, struct diag *d, struct zygote **ret)
{
	struct ram_scan nothing = { 0 };
	struct arch_state *arch = NULL;
	struct capture c = { 0 };
	struct capture_front front = { 0 };
	err_t e = arch_save(vm, q, d, &arch);

	if (!failed(e))
		e = ram_scan_none(geometry_ram_blocks(vm->geo), &nothing);
	if (!failed(e))
		e = capture_make(vm, q, arch, &nothing, NULL, d, &c);
	if (!failed(e))
		e = capture_assemble(vm->geo, capture_head(vm, &c, BYTES(0)), &c, d, &front);
	if (!failed(e))
		e = zygote_of_front(&front.bytes, front.len, front.total, d, ret);
	free(front.bytes);
	capture_drop(&c);
	ram_scan_drop(&nothing);
	arch_state_free(arch);
	return e;
}

static err_t share_disks(struct vm *vm, struct quiesced q, struct zygote *z, struct diag *d)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(vm->geo)); i++) {
		const struct disk *k = devices_disk(vm->devices, q, i);

		if (k != NULL)
			TRY(disk_share(k, d, &z->disks[i]));
	}
	return OK;
}

static void hand_down_disks(struct vm *vm, struct quiesced q, struct zygote *z)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		if (z->disks[i] != NULL)
			disk_hand_down(devices_disk(vm->devices, q, i), z->disks[i]);
}

err_t zygote_settle(struct zygote *z, fd_t *files, struct diag *d)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		if (z->disks[i] == NULL || disk_base_mode(z->disks[i]) == DISK_RO)
			continue;
		TRY(disk_base_settle(z->disks[i], files, d));
		files = files == NULL ? NULL : files + 1;
	}
	return OK;
}

/* What can fail comes before what cannot be taken back. */
static err_t freeze(struct vm *vm, fd_t *layer, struct diag *d, struct zygote **ret)
{
	struct quiesced q = vcpus_park(vm->vcpus);
	struct zygote *z;
	err_t e;

	TRY(vm_settle_time(vm, d));
	TRY(zygote_of_state(vm, q, d, &z));
	z->parent = vm->parent;
	e = share_disks(vm, q, z, d);
	if (!failed(e))
		e = ram_freeze(vm->ram, q, layer, d, &z->ram);
	if (failed(e)) {
		zygote_free(z);
		return e;
	}
	hand_down_disks(vm, q, z);
	*ret = z;
	return OK;
}

err_t zygote_take(vm_paused *from, fd_t *layer, struct diag *d, struct zygote **ret_zygote)
{
	enum vm_outcome ended = vm_paused_outcome(from, d);

	if (ended != VM_NONE)
		return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s",
				 vm_outcome_text(ended));
	return freeze(vm_of_paused(from), layer, d, ret_zygote);
}

err_t vm_freeze(vm_paused **in, struct diag *d, struct zygote **ret_zygote)
{
	struct zygote *z;
	err_t e;

	TRY(zygote_take(*in, NULL, d, &z));
	vm_paused_free(*in);
	*in = NULL;
	e = zygote_settle(z, NULL, d);
	if (failed(e)) {
		zygote_free(z);
		return e;
	}
	*ret_zygote = z;
	return OK;
}

/* ---- from a file ---- */

struct fill { int memfd; struct diag *d; };

static err_t fill_block(void *ctx, uint64_t index, const uint8_t *bytes)
{
	const struct fill *f = ctx;

	if (pwrite(f->memfd, bytes, RAM_BLOCK, (off_t)(index * RAM_BLOCK)) != RAM_BLOCK)
		return diag_sys(f->d, (err_t){ ERR_HOST_MEMORY, errno }, "loading guest RAM");
	return OK;
}

/* Into memory that nobody can change, and compared with its checksums on the way. */
static err_t load_ram(const struct snapshot *s, const struct restore_options *o, struct diag *d,
		      struct ram_base **ret)
{
	bytes_t ram = geometry_ram(image_geometry(s->image));
	owned_fd memfd = FD_NONE;
	struct fill f = { .d = d };

	TRY(ram_memfd_new(ram, d, &memfd));
	f.memfd = memfd.raw;
	TRY(snapshot_verify_into(s, &(struct ram_sink){ fill_block, &f }, o->progress, o->ctx, d));
	TRY(snapshot_check_unchanged(s, d));
	return ram_base_of_filled(&memfd, ram, d, ret);
}

/* Read again and judged again, so that the bytes that are kept are those of the image. */
static err_t load_state(const struct snapshot *s, struct diag *d, struct zygote **ret)
{
	size_t len = (size_t)image_row(s->image, SECT_RAM_SUMS, 0)->offset.v;
	owned_heap uint8_t *front = malloc(len);

	if (front == NULL)
		return FAIL(ERR_NOMEM);
	if (pread(s->fd.raw, front, len, 0) != (ssize_t)len)
		return diag_fail(d, FAIL(ERR_CHANGED), "was changed while it was being read");
	return zygote_of_front(&front, len, image_head(s->image)->total, d, ret);
}

err_t zygote_load(struct snapshot *in, const struct restore_options *o, struct diag *d,
		  struct zygote **ret_zygote)
{
	struct zygote *z;
	err_t e;

	TRY(load_state(in, d, &z));
	e = devices_open_disks(z->image, in->path, d, z->disks);
	if (!failed(e))
		e = load_ram(in, o, d, &z->ram);
	if (failed(e)) {
		diag_prefix(d, in->path);
		zygote_free(z);
		return e;
	}
	*ret_zygote = z;
	return OK;
}
