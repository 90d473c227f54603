/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/parcel.h"

#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "wire/field.h"

enum { PIECE_SIZE = 32, DISK_LEAST = 34, PARCEL_FRONT_MAX = 512 << 20 };

static err_t pieces_parse(struct fields *f, struct parcel *p)
{
	TRY(field_u32(f, "n_files", RAM_SOURCES_MAX, &p->n_files));
	TRY(field_count(f, "n_pieces", RAM_EXTENTS_MAX, PIECE_SIZE, &p->pieces.n));
	for (uint32_t i = 0; i < p->pieces.n; i++) {
		struct ram_extent *e = &p->pieces.e[i];

		TRY(field_u64(f, "piece.offset", UINT64_MAX, &e->offset.v));
		TRY(field_u64(f, "piece.len", UINT64_MAX, &e->len.v));
		TRY(field_u32(f, "piece.source", UINT32_MAX, &e->source));
		TRY(field_reserved(f, 4));
		TRY(field_u64(f, "piece.at", UINT64_MAX, &e->at.v));
		if (e->source != RAM_SOURCE_HOLE && e->source >= p->n_files)
			return field_bad(f, ERR_RANGE, "piece.source", "is %" PRIu32
					 ", there are %" PRIu32 " files", e->source, p->n_files);
	}
	return OK;
}

static err_t layers_parse(struct fields *f, struct parcel_disk *k)
{
	struct cur maps;

	TRY(field_u32(f, "disk.layers", PARCEL_LAYERS_MAX, &k->n_layers));
	TRY(field_u32(f, "disk.cluster", UINT32_MAX, &k->cluster));
	TRY(field_u32(f, "disk.map_len", PARCEL_MAP_MAX, &k->map_len));
	if ((k->n_layers == 0) != (k->map_len == 0) || (k->n_layers == 0) != (k->cluster == 0))
		return field_bad(f, ERR_RANGE, "disk.map_len",
				 "is %" PRIu32 " with %" PRIu32 " layers of clusters of %" PRIu32,
				 k->map_len, k->n_layers, k->cluster);
	TRY(field_take(f, "disk.maps", (size_t)k->n_layers * k->map_len, &maps));
	k->maps = maps.at;
	return OK;
}

static err_t disk_parse(struct fields *f, struct parcel_disk *k)
{
	uint32_t mode;

	TRY(field_u32(f, "disk.slot", SHAPE_DEVICES_MAX - 1, &k->slot));
	TRY(field_u32(f, "disk.mode", UINT32_MAX, &mode));
	if (failed(disk_mode_parse(mode, &k->mode)))
		return field_bad(f, ERR_RANGE, "disk.mode", "%" PRIu32 " is no mode", mode);
	TRY(field_u64(f, "disk.capacity", UINT64_MAX, &k->capacity.v));
	TRY(field_bool(f, "disk.stored", &k->stored));
	TRY(field_reserved(f, 3));
	TRY(field_string(f, "disk.path", k->path, sizeof k->path));
	return layers_parse(f, k);
}

/* Ascending, so that no slot has two. */
static err_t disks_parse(struct fields *f, struct parcel *p)
{
	TRY(field_count(f, "n_disks", SHAPE_DEVICES_MAX, DISK_LEAST, &p->n_disks));
	p->disks = calloc(p->n_disks + 1, sizeof p->disks[0]);
	if (p->disks == NULL)
		return FAIL(ERR_NOMEM);
	for (uint32_t i = 0; i < p->n_disks; i++) {
		TRY(disk_parse(f, &p->disks[i]));
		if (i > 0 && p->disks[i].slot <= p->disks[i - 1].slot)
			return field_bad(f, ERR_ORDER, "disk.slot",
					 "%" PRIu32 " does not come after %" PRIu32,
					 p->disks[i].slot, p->disks[i - 1].slot);
	}
	return OK;
}

static err_t parse(struct fields *f, struct parcel *p)
{
	uint32_t front_len;

	TRY(field_bytes(f, "id", p->id, sizeof p->id));
	TRY(field_bytes(f, "parent", p->parent, sizeof p->parent));
	TRY(pieces_parse(f, p));
	TRY(disks_parse(f, p));
	TRY(field_u64(f, "total", UINT64_MAX, &p->total.v));
	TRY(field_u32(f, "front", PARCEL_FRONT_MAX, &front_len));
	TRY(field_take(f, "front", front_len, &p->front));
	return field_done(f);
}

err_t parcel_parse(struct cur in, struct diag *d, struct parcel *ret)
{
	struct fields f = fields_of(in, "parcel", d);
	struct parcel p = { 0 };
	err_t e = parse(&f, &p);

	if (failed(e)) {
		parcel_clear(&p);
		return e;
	}
	*ret = p;
	return OK;
}

static void disk_encode(struct out *o, const struct parcel_disk *k)
{
	out_u32(o, k->slot);
	out_u32(o, (uint32_t)k->mode);
	out_u64(o, k->capacity.v);
	out_u8(o, k->stored);
	out_zero(o, 3);
	out_string(o, k->path);
	out_u32(o, k->n_layers);
	out_u32(o, k->cluster);
	out_u32(o, k->map_len);
	out_bytes(o, k->maps, (size_t)k->n_layers * k->map_len);
}

void parcel_encode(struct out *o, const struct parcel *p)
{
	out_bytes(o, p->id, sizeof p->id);
	out_bytes(o, p->parent, sizeof p->parent);
	out_u32(o, p->n_files);
	out_u32(o, p->pieces.n);
	for (uint32_t i = 0; i < p->pieces.n; i++) {
		const struct ram_extent *e = &p->pieces.e[i];

		out_u64(o, e->offset.v);
		out_u64(o, e->len.v);
		out_u32(o, e->source);
		out_zero(o, 4);
		out_u64(o, e->at.v);
	}
	out_u32(o, p->n_disks);
	for (uint32_t i = 0; i < p->n_disks; i++)
		disk_encode(o, &p->disks[i]);
	out_u64(o, p->total.v);
	out_u32(o, (uint32_t)cur_left(&p->front));
	out_bytes(o, p->front.at, cur_left(&p->front));
}

size_t parcel_room(const struct parcel *p)
{
	size_t room = 4096 + cur_left(&p->front);

	for (uint32_t i = 0; i < p->n_disks; i++)
		room += DISK_LEAST + sizeof p->disks[i].path +
			(size_t)p->disks[i].n_layers * p->disks[i].map_len;
	return room;
}

void parcel_clear(struct parcel *p)
{
	free(p->disks);
	p->disks = NULL;
	p->n_disks = 0;
}

uint32_t parcel_descriptors(const struct parcel *p)
{
	uint32_t n = p->n_files;

	for (uint32_t i = 0; i < p->n_disks; i++)
		n += 1 + p->disks[i].n_layers;
	return n;
}
