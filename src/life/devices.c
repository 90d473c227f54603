/* SPDX-License-Identifier: Apache-2.0 */
#include "life/devices_parts.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/heap.h"
#include "life/vm.h"
#include "machine/kvm/kvm.h"
#include "machine/vmgenid/vmgenid.h"
#include "plan/map_x86_64.h"

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
	return line_new(vm, (gsi_t){ GSI_SERIAL }, d, &v->serial_irq);
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
	free(v);
}

static struct virtio_wires wires_of(const struct devices *v, const struct topo_slot *slot)
{
	struct virtio_wires w = { .mem = v->wires.mem, .irq = { v->irq[slot->slot.v].raw } };

	for (uint32_t q = 0; q < slot->queues; q++)
		w.notify[q] = v->wake[slot->first_wake + q].raw;
	return w;
}

/* A device that was just made is parked: asking for the witness is immediate. */
static err_t slots_make(struct devices *v)
{
	for (uint32_t i = 0; i < topology_slots(v->wires.topology); i++) {
		const struct topo_slot *slot = topology_slot(v->wires.topology, i);
		struct virtio_wires w = wires_of(v, slot);

		TRY(virtio_new(slot, &w, i > 0 ? v->dev[i - 1] : NULL, &v->dev[i]));
		v->parked[i] = virtio_quiesce(v->dev[i], NULL);
		v->n = i + 1;
	}
	return OK;
}

err_t devices_new(const struct devices_wires *w, struct diag *d, struct devices **ret)
{
	struct devices *v = calloc(1, sizeof *v);
	err_t e;

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	v->wires = *w;
	v->held = true;
	v->serial_irq = FD_NONE;
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		v->irq[i] = FD_NONE;
	e = wire(v, d);
	if (!failed(e))
		e = slots_make(v);
	if (failed(e)) {
		devices_free(v);
		return e;
	}
	*ret = v;
	return OK;
}

/* Whoever listens now: a machine that was armed ahead of need is given its console later. */
static void say(void *ctx, const uint8_t *bytes, size_t n)
{
	const struct vm_options *o = ctx;

	if (o->console != NULL)
		o->console(o->ctx, bytes, n);
}

struct serial_wires devices_serial_wires(const struct devices *v)
{
	return (struct serial_wires){
		.irq = { v->serial_irq.raw },
		.output = say,
		.ctx = (void *)(uintptr_t)v->wires.options,
	};
}

/* ---- hold and release ---- */

err_t devices_start(struct devices *v, struct diag *d)
{
	for (uint32_t i = 0; i < v->n; i++)
		TRY(virtio_start(v->dev[i], d));
	return OK;
}

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

err_t devices_confine(struct devices *v, struct diag *d)
{
	for (uint32_t i = 0; i < v->n; i++)
		TRY(virtio_confine(v->parked[i], d));
	return OK;
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
		kvm_vm_pulse(v->wires.vm, (gsi_t){ GSI_VMGENID });
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

struct disk *devices_disk(struct devices *v, struct quiesced q, uint32_t slot)
{
	(void)q;
	return virtio_parked_disk(v->parked[slot]);
}

struct disk_use devices_disk_use(const struct devices *v, uint32_t slot)
{
	const struct disk *k = virtio_disk(v->dev[slot]);

	if (k == NULL)
		return (struct disk_use){ .mode = DISK_RO };
	return (struct disk_use){ disk_mode(k), disk_needs_storing(k), disk_capacity(k) };
}

err_t devices_renew_generation(struct devices *v, bool notify, struct diag *d)
{
	err_t e = vmgenid_renew(v->wires.mem);

	if (failed(e))
		return diag_fail(d, e, "writing the machine's generation id");
	v->generation_due = notify;
	return OK;
}
