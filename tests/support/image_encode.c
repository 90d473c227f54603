/* SPDX-License-Identifier: Apache-2.0 */
#include "support/image_encode.h"

#include <string.h>

#include "base/heap.h"
#include "flow.h"

/* Room for one section of each kind without its variable tail; generous, never touched. */
enum { ROOM_FIXED = 65536 };

static struct topology_section topology_section_of(const struct topology *t)
{
	struct topology_section s = { .vcpus = topology_shape(t)->vcpus, .n = topology_slots(t) };

	for (uint32_t i = 0; i < s.n; i++) {
		const struct topo_slot *slot = topology_slot(t, i);

		s.rows[i] = (struct topology_row){
			.kind = slot->kind,
			.queues = slot->queues,
			.slot = slot->slot.v,
			.gsi = slot->gsi.v,
			.first_wake = slot->first_wake,
			.mmio = slot->mmio.v,
			.mmio_len = slot->mmio_len.v,
			.notify = slot->notify.v,
		};
	}
	return s;
}

static void section_encode(struct out *o, const struct geometry *g, const struct image_parts *p,
			   struct snap_row_id id)
{
	struct topology_section topology;

	switch (id.kind) {
	case SECT_INVENTORY: inventory_encode(o, p->inventory); return;
	case SECT_TOPOLOGY:
		topology = topology_section_of(geometry_topology(g));
		topology_section_encode(o, &topology);
		return;
	case SECT_CONFIG: machine_note_encode(o, p->note); return;
	case SECT_VCPU: vcpu_x86_64_encode(o, &p->vcpus[id.index]); return;
	case SECT_IRQCHIP: irqchip_x86_64_encode(o, p->irqchip); return;
	case SECT_CLOCK: clock_x86_64_encode(o, p->clock); return;
	case SECT_DEVICE: device_state_encode(o, &p->devices[id.index]); return;
	case SECT_SERIAL: serial_state_encode(o, p->serial); return;
	case SECT_RAM_MAP: ram_map_encode(o, p->ram_map); return;
	case SECT_RAM_SUMS:
		for (uint64_t i = 0; i < p->ram_map->present; i++)
			out_u64(o, p->ram_sums == NULL ? 0 : p->ram_sums[i]);
		return;
	case SECT_RAM: return;
	}
	unreachable_by_type();
}

static size_t room_for(const struct geometry *g, const struct image_parts *p)
{
	size_t n = (size_t)geometry_rows(g) * ROOM_FIXED;

	for (uint32_t i = 0; i < topology_slots(geometry_topology(g)); i++)
		n += p->devices[i].blk.layer_map_len;
	return n + (size_t)(p->ram_map->blocks / 8 + p->ram_map->present * sizeof(uint64_t));
}

/* Encodes every section where the layout will have it (each begins where the last one ended, up to
 * alignment) and fills in sizes and checksums; then asks the geometry and compares. */
static err_t sections_encode(struct out *o, const struct geometry *g, const struct image_parts *p,
			     struct diag *d, struct snap_row *ret_rows, bytes_t *ret_total)
{
	uint32_t n = geometry_rows(g);

	out_zero(o, FILE_PAGE + (size_t)n * SNAP_ROW_SIZE);
	for (uint32_t i = 0; i < n; i++) {
		struct snap_row_id id = geometry_row(g, i);
		size_t start;

		if (id.kind == SECT_RAM) {
			ret_rows[i] = (struct snap_row){ .id = id, .size = geometry_ram(g) };
			continue;
		}
		out_align(o, FILE_SECT_ALIGN);
		start = o->len;
		section_encode(o, g, p, id);
		ret_rows[i] = (struct snap_row){ .id = id, .size = BYTES(o->len - start),
						 .crc = crc64(o->base + start, o->len - start) };
	}
	TRY(out_done(o));
	return geometry_layout(g, ret_rows, n, d, ret_total);
}

static err_t bytes_make(const struct geometry *g, const struct image_parts *p, struct diag *d,
			uint8_t **ret_bytes, size_t *ret_len, struct snap_row *ret_rows)
{
	const struct shape *shape = topology_shape(geometry_topology(g));
	struct snap_head h = {
		.version = SNAP_VERSION,
		.arch = shape->arch,
		.page_size = FILE_PAGE,
		.generation = p->generation,
		.created_sec = p->created_sec,
		.created_nsec = p->created_nsec,
		.vcpus = shape->vcpus,
		.ram = shape->ram,
		.sections = geometry_rows(g),
	};
	size_t room = room_for(g, p);
	owned_heap uint8_t *bytes = malloc(room);
	struct out o = out_of(bytes, room), front;

	if (bytes == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(h.machine_id, p->machine_id, sizeof h.machine_id);
	TRY(sections_encode(&o, g, p, d, ret_rows, &h.total));
	front = out_of(bytes, FILE_PAGE + (size_t)h.sections * SNAP_ROW_SIZE);
	snap_head_encode(&front, &h);
	snap_table_encode(&front, ret_rows, h.sections);
	TRY(out_done(&front));
	snap_head_seal(bytes, front.len);
	*ret_len = o.len;
	*ret_bytes = take_ptr(bytes);
	return OK;
}

err_t image_ram_offset(const struct geometry *g, const struct image_parts *p, struct diag *d,
		       foff_t *ret_at)
{
	struct snap_row rows[SNAP_ROWS_MAX];
	owned_heap uint8_t *bytes = NULL;
	size_t len;

	TRY(bytes_make(g, p, d, &bytes, &len, rows));
	*ret_at = rows[geometry_rows(g) - 1].offset;
	return OK;
}

err_t image_encode(const struct geometry *g, const struct image_parts *p, struct diag *d,
		   uint8_t **ret_bytes, size_t *ret_len)
{
	struct snap_row rows[SNAP_ROWS_MAX];

	return bytes_make(g, p, d, ret_bytes, ret_len, rows);
}
