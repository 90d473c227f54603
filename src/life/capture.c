/* SPDX-License-Identifier: Apache-2.0 */
#include "life/capture.h"

#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/devices.h"
#include "life/disk_copies.h"
#include "machine/virtio/device.h"

/* What was read from the machine, before it is encoded. */
struct readings {
	struct device_state *device; /* one per slot, each owns memory */
	uint32_t n_devices;
	const struct arch_state *arch; /* borrowed */
	struct serial_state serial;
};

static void readings_drop(struct readings *r)
{
	for (uint32_t i = 0; i < r->n_devices; i++)
		device_state_clear(&r->device[i]);
	free(r->device);
}

/* How the disk of a slot is kept. */
static const struct disk_store *store_of(const struct disk_copies *copies, uint32_t slot,
					 struct disk_store *ret)
{
	*ret = (struct disk_store){ .shared = copies == NULL, .file = -1 };
	if (copies == NULL)
		return ret;
	if (!fd_is_open(copies->file[slot].fd))
		return NULL;
	ret->file = copies->file[slot].fd.raw;
	ret->name = copies->file[slot].name;
	return ret;
}

static err_t read_devices(struct vm *vm, struct quiesced q, const struct disk_copies *copies,
			  struct diag *d, struct readings *r)
{
	uint32_t slots = topology_slots(geometry_topology(vm->geo));

	r->device = calloc(slots + 1, sizeof r->device[0]);
	if (r->device == NULL)
		return FAIL(ERR_NOMEM);
	for (uint32_t i = 0; i < slots; i++) {
		struct disk_store store;

		TRY(devices_save(vm->devices, q, i, store_of(copies, i, &store), d, &r->device[i]));
		r->n_devices = i + 1;
	}
	devices_save_serial(vm->devices, q, &r->serial);
	return OK;
}

void topology_encode(struct out *o, const struct topology *t)
{
	struct topology_section s = { .vcpus = topology_shape(t)->vcpus, .n = topology_slots(t) };

	for (uint32_t i = 0; i < s.n; i++) {
		const struct topo_slot *slot = topology_slot(t, i);

		s.rows[i] = (struct topology_row){
			.kind = slot->kind, .queues = slot->queues, .slot = slot->slot.v,
			.gsi = slot->gsi.v, .first_wake = slot->first_wake, .mmio = slot->mmio.v,
			.mmio_len = slot->mmio_len.v, .notify = slot->notify.v,
		};
	}
	topology_section_encode(o, &s);
}

static void encode(const struct vm *vm, const struct readings *r, const struct ram_scan *ram,
		   struct snap_row_id id, struct out *o)
{
	struct ram_map map = { ram->blocks, ram->present, ram->bits };

	switch (id.kind) {
	case SECT_INVENTORY:
	case SECT_VCPU:
	case SECT_IRQCHIP:
	case SECT_CLOCK:
		arch_encode(vm, r->arch, id, o);
		return;
	case SECT_TOPOLOGY:
		topology_encode(o, geometry_topology(vm->geo));
		return;
	case SECT_CONFIG:
		machine_note_encode(o, &vm->note);
		return;
	case SECT_DEVICE:
		device_state_encode(o, &r->device[id.index]);
		return;
	case SECT_SERIAL:
		serial_state_encode(o, &r->serial);
		return;
	case SECT_RAM_MAP:
		ram_map_encode(o, &map);
		return;
	case SECT_RAM_SUMS:
	case SECT_RAM:
		return;
	}
	unreachable_by_type();
}

/* More than the section can need: most are small, two grow with the machine. */
static size_t room_for(const struct readings *r, const struct ram_scan *ram, struct snap_row_id id)
{
	size_t room = KIB(64);

	if (id.kind == SECT_DEVICE)
		room += r->device[id.index].blk.layer_map_len;
	else if (id.kind == SECT_RAM_MAP)
		room += (ram->blocks + 7) / 8;
	return room;
}

static bytes_t sums_size(const struct ram_scan *ram)
{
	return BYTES(ram->present * sizeof ram->sums[0]);
}

err_t capture_add(struct capture *io, struct snap_row_id id, const struct out *bytes,
		  struct diag *d)
{
	if (failed(out_done(bytes)) || bytes->len > sect_kind_max(id.kind).v)
		return diag_fail(d, FAIL(ERR_INTERNAL), "the %s section is too large",
				 sect_kind_word(id.kind));
	io->rows[io->n] = (struct snap_row){ .id = id, .size = BYTES(bytes->len),
					     .crc = crc64(bytes->base, bytes->len) };
	io->bytes[io->n++] = bytes->base;
	return OK;
}

static err_t encode_row(const struct vm *vm, const struct readings *r, const struct ram_scan *ram,
			struct snap_row_id id, struct diag *d, struct capture *c)
{
	size_t room = room_for(r, ram, id);
	owned_heap uint8_t *bytes = NULL;
	struct out o;

	if (id.kind == SECT_RAM || id.kind == SECT_RAM_SUMS) {
		c->bytes[c->n] = NULL;
		c->rows[c->n++] = (struct snap_row){
			.id = id,
			.size = id.kind == SECT_RAM ? geometry_ram(vm->geo) : sums_size(ram),
		};
		return OK;
	}
	bytes = malloc(room + 1);
	if (bytes == NULL)
		return FAIL(ERR_NOMEM);
	o = out_of(bytes, room);
	encode(vm, r, ram, id, &o);
	TRY(capture_add(c, id, &o, d));
	(void)take_ptr(bytes);
	return OK;
}

err_t capture_make(struct vm *vm, struct quiesced q, const struct arch_state *arch,
		   const struct ram_scan *ram, const struct disk_copies *copies, struct diag *d,
		   struct capture *ret)
{
	struct readings r = { .arch = arch };
	struct capture c = { 0 };
	err_t e = read_devices(vm, q, copies, d, &r);

	for (uint32_t i = 0; i < geometry_rows(vm->geo) && !failed(e); i++)
		e = encode_row(vm, &r, ram, geometry_row(vm->geo, i), d, &c);
	readings_drop(&r);
	if (failed(e)) {
		capture_drop(&c);
		return e;
	}
	*ret = c;
	return OK;
}

err_t capture_sums(const struct ram_scan *ram, struct diag *d, struct capture *io)
{
	uint32_t i = 0;
	struct out o;

	/* Not ours to assert: somebody can cut the file behind a restored machine's RAM. */
	if (ram->summed != ram->present)
		return diag_fail(d, FAIL(ERR_RAM_LOST),
				 "the snapshot file behind the guest's RAM was cut short");
	while (io->rows[i].id.kind != SECT_RAM_SUMS)
		i++;
	io->bytes[i] = malloc(io->rows[i].size.v + 1);
	if (io->bytes[i] == NULL)
		return FAIL(ERR_NOMEM);
	o = out_of(io->bytes[i], io->rows[i].size.v);
	for (uint64_t k = 0; k < ram->summed; k++)
		out_u64(&o, ram->sums[k]);
	TRY(out_done(&o));
	io->rows[i].crc = crc64(o.base, o.len);
	return OK;
}

struct snap_head capture_head(const struct vm *vm, const struct capture *c, bytes_t total)
{
	const struct shape *shape = topology_shape(geometry_topology(vm->geo));
	struct snap_head h = {
		.version = SNAP_VERSION, .arch = shape->arch, .page_size = FILE_PAGE,
		.generation = vm->generation, .vcpus = shape->vcpus, .ram = shape->ram,
		.sections = c->n, .total = total,
	};
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	h.created_sec = now.tv_sec;
	h.created_nsec = (uint32_t)now.tv_nsec;
	memcpy(h.machine_id, vm->machine_id, sizeof h.machine_id);
	return h;
}


err_t capture_assemble(const struct geometry *g, struct snap_head head, struct capture *io,
		       struct diag *d, struct capture_front *ret)
{
	const struct snap_row *last;
	struct out o;

	TRY(geometry_layout(g, io->rows, io->n, d, &ret->total));
	last = &io->rows[io->n - 2]; /* the RAM checksums; RAM is the last */
	assert(last->id.kind == SECT_RAM_SUMS);
	ret->len = (size_t)last->offset.v;
	ret->bytes = calloc(1, ret->len);
	if (ret->bytes == NULL)
		return FAIL(ERR_NOMEM);
	for (uint32_t i = 0; i < io->n; i++)
		if (io->bytes[i] != NULL)
			memcpy(ret->bytes + io->rows[i].offset.v, io->bytes[i], io->rows[i].size.v);
	head.sections = io->n;
	head.total = ret->total;
	o = out_of(ret->bytes, SNAP_HEAD_SIZE + (size_t)io->n * SNAP_ROW_SIZE);
	snap_head_encode(&o, &head);
	snap_table_encode(&o, io->rows, io->n);
	TRY(out_done(&o));
	snap_head_seal(ret->bytes, o.len);
	return OK;
}

void capture_drop(struct capture *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		free(c->bytes[i]);
	c->n = 0;
}
