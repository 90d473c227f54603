/* SPDX-License-Identifier: Apache-2.0 */
#include "life/blank.h"

#include <string.h>

#include "base/heap.h"
#include "life/arch.h"

enum { ROOM = 65536 }; /* every blank section is smaller, but for RAM's map */

static void encode_note(struct out *o)
{
	static const struct machine_note nobody = { .name = "blank", .kernel = "-" };

	machine_note_encode(o, &nobody);
}

static void encode_topology_of(const struct image *like, struct out *o)
{
	topology_encode(o, geometry_topology(image_geometry(like)));
}

/* As after power-on, but with the configuration that follows from its disk. */
static err_t encode_device(const struct image *like, uint32_t slot, struct out *o)
{
	const struct device_state *from = image_device(like, (slot_id){ slot });
	owned_heap struct device_state *s = calloc(1, sizeof *s);

	if (s == NULL)
		return FAIL(ERR_NOMEM);
	s->kind = from->kind;
	s->n_queues = from->n_queues;
	for (uint32_t i = 0; i < s->n_queues; i++)
		s->queues[i].max_size = from->queues[i].max_size;
	s->config_len = from->config_len;
	memcpy(s->config, from->config, from->config_len);
	if (s->kind == DEV_BLK) {
		s->blk.mode = from->blk.mode;
		s->blk.capacity = from->blk.capacity;
		s->blk.base.size = from->blk.base.size;
		memcpy(s->blk.base.path, "/blank", sizeof "/blank");
	}
	device_state_encode(o, s);
	return OK;
}

static err_t encode(const struct image *like, struct snap_row_id id, struct out *o)
{
	static const struct serial_state quiet = { .lsr = 0x60 };
	struct ram_map map = { .blocks = geometry_ram_blocks(image_geometry(like)) };

	switch (id.kind) {
	case SECT_INVENTORY:
	case SECT_VCPU:
	case SECT_IRQCHIP:
	case SECT_CLOCK:
		return arch_encode_blank(like, id, o);
	case SECT_TOPOLOGY:
		encode_topology_of(like, o);
		return OK;
	case SECT_CONFIG:
		encode_note(o);
		return OK;
	case SECT_DEVICE:
		return encode_device(like, id.index, o);
	case SECT_SERIAL:
		serial_state_encode(o, &quiet);
		return OK;
	case SECT_RAM_MAP:
		map.bits = calloc(1, (size_t)(map.blocks + 7) / 8);
		if (map.bits == NULL)
			return FAIL(ERR_NOMEM);
		ram_map_encode(o, &map);
		free((void *)(uintptr_t)map.bits);
		return OK;
	case SECT_RAM_SUMS:
	case SECT_RAM:
		return OK;
	}
	unreachable_by_type();
}

static err_t add(const struct image *like, struct snap_row_id id, struct diag *d,
		 struct capture *c)
{
	size_t room = ROOM + (size_t)geometry_ram_blocks(image_geometry(like)) / 8;
	owned_heap uint8_t *bytes = malloc(room);
	struct out o = out_of(bytes, room);

	if (bytes == NULL)
		return FAIL(ERR_NOMEM);
	if (id.kind == SECT_RAM || id.kind == SECT_RAM_SUMS) {
		c->bytes[c->n] = NULL;
		c->rows[c->n++] = (struct snap_row){
			.id = id,
			.size = id.kind == SECT_RAM ? image_head(like)->ram : BYTES(0),
		};
		return OK;
	}
	TRY(encode(like, id, &o));
	TRY(capture_add(c, id, &o, d));
	(void)take_ptr(bytes);
	return OK;
}

err_t blank_of(const struct image *like, struct diag *d, struct capture_front *ret)
{
	const struct geometry *g = image_geometry(like);
	struct capture c = { 0 };
	struct snap_head head = *image_head(like);
	err_t e = OK;

	memset(head.machine_id, 0, sizeof head.machine_id);
	head.generation = 0;
	head.created_sec = 0;
	head.created_nsec = 0;
	for (uint32_t i = 0; i < geometry_rows(g) && !failed(e); i++)
		e = add(like, geometry_row(g, i), d, &c);
	if (!failed(e))
		e = capture_assemble(g, head, &c, d, ret);
	capture_drop(&c);
	return e;
}
