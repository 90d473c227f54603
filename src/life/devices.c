/* SPDX-License-Identifier: Apache-2.0 */
#include "life/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/heap.h"
#include "base/own.h"
#include "life/snapshot.h"
#include "machine/kvm/kvm.h"
#include "machine/serial/serial.h"
#include "machine/virtio/device.h"
#include "machine/vmgenid/vmgenid.h"
#include "plan/map_x86_64.h"

enum { WAKES_MAX = SHAPE_DEVICES_MAX * SHAPE_QUEUES_MAX };

struct devices {
	struct devices_wires wires;
	uint32_t n;
	struct virtio_dev *dev[SHAPE_DEVICES_MAX];
	struct virtio_parked parked[SHAPE_DEVICES_MAX]; /* while held */
	struct serial *serial;
	bool held, generation_due;
	fd_t irq[SHAPE_DEVICES_MAX], serial_irq, generation_irq;
	fd_t wake[WAKES_MAX];
	uint32_t n_wakes;
};

/* ---- wiring ---- */

static err_t event_new(struct diag *d, fd_t *ret)
{
	fd_t e = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	if (!fd_is_open(e))
		return diag_sys(d, FAIL_SYS(errno), "making an eventfd");
	*ret = e;
	return OK;
}

static err_t line_new(int vm, gsi_t gsi, struct diag *d, fd_t *ret)
{
	TRY(event_new(d, ret));
	return kvm_vm_irqfd(vm, gsi, ret->raw, d);
}

/* Exactly the wake map: one eventfd per queue, one line per slot. */
static err_t wire(struct devices *v, struct diag *d)
{
	const struct topology *t = v->wires.topology;
	int vm = v->wires.vm;

	for (uint32_t i = 0; i < topology_wakes(t); i++) {
		struct wake w = topology_wake(t, i);

		TRY(event_new(d, &v->wake[i]));
		v->n_wakes = i + 1;
		TRY(kvm_vm_ioeventfd(vm, w.notify, w.queue.v, v->wake[i].raw, d));
	}
	for (uint32_t i = 0; i < topology_slots(t); i++)
		TRY(line_new(vm, topology_slot(t, i)->gsi, d, &v->irq[i]));
	TRY(line_new(vm, (gsi_t){ GSI_SERIAL }, d, &v->serial_irq));
	return line_new(vm, (gsi_t){ GSI_VMGENID }, d, &v->generation_irq);
}

static err_t devices_alloc(const struct devices_wires *w, struct diag *d, struct devices **ret)
{
	struct devices *v = calloc(1, sizeof *v);
	err_t e;

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	v->wires = *w;
	v->held = true;
	v->serial_irq = v->generation_irq = FD_NONE;
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		v->irq[i] = FD_NONE;
	e = wire(v, d);
	if (failed(e)) {
		devices_free(v);
		return e;
	}
	*ret = v;
	return OK;
}

void devices_free(struct devices *v)
{
	if (v == NULL)
		return;
	for (uint32_t i = 0; i < v->n; i++)
		virtio_free(v->dev[i]);
	serial_free(v->serial);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		fd_drop(&v->irq[i]);
	for (uint32_t i = 0; i < v->n_wakes; i++)
		fd_drop(&v->wake[i]);
	fd_drop(&v->serial_irq);
	fd_drop(&v->generation_irq);
	free(v);
}

static struct virtio_wires wires_of(const struct devices *v, const struct topo_slot *slot)
{
	struct virtio_wires w = { .mem = v->wires.mem, .irq = { v->irq[slot->slot.v].raw } };

	for (uint32_t q = 0; q < slot->queues; q++)
		w.notify[q] = v->wake[slot->first_wake + q].raw;
	return w;
}

static void nobody_listens(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	(void)bytes;
	(void)n;
}

static struct serial_wires serial_wires_of(const struct devices *v)
{
	return (struct serial_wires){
		.irq = { v->serial_irq.raw },
		.output = v->wires.options->console != NULL ? v->wires.options->console
							    : nobody_listens,
		.ctx = v->wires.options->ctx,
	};
}

/* A device that was just made is parked: asking for the witness is immediate. */
static void adopt(struct devices *v, struct virtio_dev *dev)
{
	v->dev[v->n] = dev;
	v->parked[v->n] = virtio_quiesce(dev, NULL);
	v->n++;
}

/* ---- fresh ---- */

static err_t disk_device(struct devices *v, const struct topo_slot *slot,
			 const struct disk_request *r, struct diag *d)
{
	struct virtio_wires w = wires_of(v, slot);
	struct virtio_dev *dev;
	struct disk *disk;
	err_t e;

	TRY(disk_open(r->path, r->mode, NULL, d, &disk));
	e = blk_new(slot, &w, &disk, d, &dev);
	if (failed(e)) {
		disk_free(disk);
		return e;
	}
	adopt(v, dev);
	return OK;
}

static err_t rng_device(struct devices *v, const struct topo_slot *slot, struct diag *d)
{
	struct virtio_wires w = wires_of(v, slot);
	struct virtio_dev *dev;

	TRY(rng_new(slot, &w, d, &dev));
	adopt(v, dev);
	return OK;
}

static err_t fill_new(struct devices *v, const struct config *c, struct diag *d)
{
	const struct request *r = config_request(c);
	struct serial_wires sw = serial_wires_of(v);
	uint32_t disk = 0;

	for (uint32_t i = 0; i < topology_slots(v->wires.topology); i++) {
		const struct topo_slot *slot = topology_slot(v->wires.topology, i);

		switch (slot->kind) {
		case DEV_BLK:
			TRY(disk_device(v, slot, &r->disks[disk++], d));
			break;
		case DEV_RNG:
			TRY(rng_device(v, slot, d));
			break;
		}
	}
	return serial_new(&sw, &v->serial);
}

err_t devices_new(const struct devices_wires *w, const struct config *c, struct diag *d,
		  struct devices **ret_devices)
{
	struct devices *v;
	err_t e;

	TRY(devices_alloc(w, d, &v));
	e = fill_new(v, c, d);
	if (failed(e)) {
		devices_free(v);
		return e;
	}
	*ret_devices = v;
	return OK;
}

/* ---- from an image ---- */

/* Where a restore finds disks. */
struct disk_sources {
	const struct restore_options *options;
	int snapshot_dir;
	uint32_t next; /* index among the disks */
};

static const char *replacement(const struct restore_options *r, uint32_t index)
{
	for (size_t i = 0; i < r->n_disks; i++) {
		if (r->disks[i].index == index)
			return r->disks[i].path;
	}
	return NULL;
}

static err_t disk_again(struct devices *v, const struct topo_slot *slot,
			const struct device_state *s, struct disk_sources *from, struct diag *d)
{
	struct virtio_wires w = wires_of(v, slot);
	struct disk_places at = {
		.snapshot_dir = from->snapshot_dir,
		.replacement = replacement(from->options, from->next),
	};
	struct virtio_dev *dev;
	struct blk_view view;
	struct disk *disk;
	err_t e;

	from->next++;
	if (!device_as_blk(s, &view))
		return FAIL(ERR_INTERNAL); /* the image was judged against the topology */
	TRY(disk_reopen(&view.dev->blk, &at, d, &disk));
	e = blk_restore(slot, &w, view, &disk, d, &dev);
	if (failed(e)) {
		disk_free(disk);
		return e;
	}
	adopt(v, dev);
	return OK;
}

static err_t rng_again(struct devices *v, const struct topo_slot *slot,
		       const struct device_state *s, struct diag *d)
{
	struct virtio_wires w = wires_of(v, slot);
	struct virtio_dev *dev;
	struct rng_view view;

	if (!device_as_rng(s, &view))
		return FAIL(ERR_INTERNAL);
	TRY(rng_restore(slot, &w, view, d, &dev));
	adopt(v, dev);
	return OK;
}

static err_t fill_from(struct devices *v, const struct image *i, struct disk_sources *from,
		       struct diag *d)
{
	struct serial_wires sw = serial_wires_of(v);

	for (uint32_t n = 0; n < topology_slots(v->wires.topology); n++) {
		const struct topo_slot *slot = topology_slot(v->wires.topology, n);
		const struct device_state *s = image_device(i, slot->slot);

		switch (slot->kind) {
		case DEV_BLK:
			TRY(disk_again(v, slot, s, from, d));
			break;
		case DEV_RNG:
			TRY(rng_again(v, slot, s, d));
			break;
		}
	}
	for (size_t n = 0; n < from->options->n_disks; n++) {
		if (from->options->disks[n].index >= from->next)
			return diag_fail(d, FAIL(ERR_USAGE),
					 "disk %u was given another file, but the machine has %u disks",
					 from->options->disks[n].index, from->next);
	}
	return serial_restore(&sw, image_serial(i), d, &v->serial);
}

static err_t folder_of(const char *path, struct diag *d, fd_t *ret)
{
	const char *slash = strrchr(path, '/');
	owned_heap char *dir = slash == NULL ? strdup(".")
					     : strndup(path, (size_t)(slash - path) + 1);

	if (dir == NULL)
		return FAIL(ERR_NOMEM);
	*ret = (fd_t){ open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	if (!fd_is_open(*ret))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: cannot open its folder", path);
	return OK;
}

err_t devices_restore(const struct devices_wires *w, const struct image *i,
		      const char *snapshot_path, const struct restore_options *r, struct diag *d,
		      struct devices **ret_devices)
{
	struct disk_sources from = { .options = r };
	owned_fd dir = FD_NONE;
	struct devices *v;
	err_t e;

	TRY(folder_of(snapshot_path, d, &dir));
	from.snapshot_dir = dir.raw;
	TRY(devices_alloc(w, d, &v));
	e = fill_from(v, i, &from, d);
	if (failed(e)) {
		devices_free(v);
		return e;
	}
	*ret_devices = v;
	return OK;
}

err_t devices_check_disks(const struct image *i, const char *snapshot_path, struct diag *d)
{
	uint32_t slots = topology_slots(geometry_topology(image_geometry(i)));
	struct disk_places at = { 0 };
	owned_fd dir = FD_NONE;

	TRY(folder_of(snapshot_path, d, &dir));
	at.snapshot_dir = dir.raw;
	for (uint32_t n = 0; n < slots; n++) {
		const struct device_state *s = image_device(i, (slot_id){ n });
		struct blk_view view;
		struct disk *disk;

		if (!device_as_blk(s, &view))
			continue;
		TRY(disk_reopen(&view.dev->blk, &at, d, &disk));
		disk_free(disk);
	}
	return OK;
}

/* ---- hold and release ---- */

uint32_t devices_hold(struct devices *v)
{
	uint32_t in_flight = 0;

	for (uint32_t i = 0; i < v->n && !v->held; i++) {
		uint32_t n = 0;

		v->parked[i] = virtio_quiesce(v->dev[i], &n);
		in_flight += n;
	}
	v->held = true;
	return in_flight;
}

void devices_release(struct devices *v)
{
	if (!v->held)
		return;
	v->held = false;
	for (uint32_t i = 0; i < v->n; i++)
		virtio_unquiesce(v->parked[i]);
	serial_resume(v->serial);
	if (v->generation_due)
		irq_raise((struct irq_line){ v->generation_irq.raw });
	v->generation_due = false;
}

/* ---- accesses ---- */

bool devices_mmio(struct devices *v, gpa_t at, uint8_t *data, uint32_t len, bool write)
{
	uint64_t off, slot;

	if (__builtin_sub_overflow(at.v, MAP_MMIO_SLOT0, &off))
		return false;
	slot = off / MAP_MMIO_STRIDE;
	off %= MAP_MMIO_STRIDE;
	if (slot >= v->n || !range_holds(0, MAP_MMIO_STRIDE, off, len))
		return false;
	if (write)
		virtio_mmio_write(v->dev[slot], off, data, len);
	else
		virtio_mmio_read(v->dev[slot], off, data, len);
	return true;
}

uint8_t devices_serial_read(struct devices *v, unsigned reg)
{
	return serial_read(v->serial, reg);
}

void devices_serial_write(struct devices *v, unsigned reg, uint8_t value)
{
	serial_write(v->serial, reg, value);
}

size_t devices_console_input(struct devices *v, const uint8_t *bytes, size_t n)
{
	return serial_input(v->serial, bytes, n);
}

/* ---- saving ---- */

err_t devices_save(const struct devices *v, struct quiesced q, uint32_t slot,
		   const struct disk_store *store, struct diag *d, struct device_state *ret)
{
	(void)q;
	return virtio_save(v->parked[slot], store, d, ret);
}

void devices_save_serial(const struct devices *v, struct quiesced q, struct serial_state *ret)
{
	(void)q;
	serial_save(v->serial, ret);
}

struct disk_use devices_disk_use(const struct devices *v, uint32_t slot)
{
	const struct disk *k = virtio_disk(v->dev[slot]);

	if (k == NULL)
		return (struct disk_use){ DISK_RO, false };
	return (struct disk_use){ disk_mode(k), disk_needs_storing(k) };
}

err_t devices_renew_generation(struct devices *v, bool notify, struct diag *d)
{
	err_t e = vmgenid_renew(v->wires.mem);

	if (failed(e))
		return diag_fail(d, e, "writing the machine's generation id");
	v->generation_due = notify;
	return OK;
}
