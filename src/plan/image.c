/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of snapshot files. Trusts nothing but the length it was told; the values it keeps are
 * private copies. */
#include "plan/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/refs.h"
#include "flow.h"
#include "plan/image_rings.h"
#include "plan/map.h"

struct image {
	struct refs references;
	struct snap_head head;
	struct snap_row rows[SNAP_ROWS_MAX];
	bytes_t need; /* up to the RAM checksums */
	const struct geometry *geometry;
	struct inventory inventory;
	struct machine_note note;
	struct vcpu_x86_64 *vcpus;
	struct irqchip_x86_64 irqchip;
	struct clock_x86_64 clock;
	struct device_state *devices;
	struct serial_state serial;
	struct ram_map ram_map;
	uint8_t *ram_bits;
};

static void image_drop(struct image **i)
{
	image_free(*i);
}

/* The file must be as long as it says: RAM is mapped, and a page of it past the end of the file
 * would be a SIGBUS in the monitor. */
static err_t total_check(const struct snap_head *h, foff_t file_len, struct diag *d)
{
	if (h->total.v > file_len.v)
		return diag_field(d, FAIL(ERR_TRUNCATED), "header", "total",
				  "is %" PRIu64 " bytes, the file has %" PRIu64, h->total.v,
				  file_len.v);
	if (h->total.v < file_len.v)
		return diag_field(d, FAIL(ERR_TRAILING), "header", "total",
				  "is %" PRIu64 " bytes, the file has %" PRIu64, h->total.v,
				  file_len.v);
	return OK;
}

/* Header and table: foreign files first, then the checksum, then everything else. */
static err_t front_parse(struct cur first, foff_t file_len, struct diag *d,
			 struct snap_head *ret_head, struct snap_row *ret_rows)
{
	struct cur at = first;
	struct snap_head h;

	TRY(snap_head_parse(&at, d, &h));
	if (h.arch != map_arch())
		return diag_field(d, FAIL(ERR_ARCH), "header", "arch",
				  "is %d, this program is for %d", (int)h.arch, (int)map_arch());
	TRY(snap_head_check(&h, first, d));
	TRY(total_check(&h, file_len, d));
	TRY(snap_table_parse(&at, h.sections, d, ret_rows));
	*ret_head = h;
	return OK;
}

/* The table ended, or RAM came, and the RAM checksums have not been seen. */
static err_t sums_missing(const struct snap_head *h, const struct snap_row *rows, uint32_t from,
			  struct diag *d)
{
	for (uint32_t i = from; i < h->sections; i++) {
		if (rows[i].id.kind == SECT_RAM_SUMS)
			return diag_field(d, FAIL(ERR_ORDER), "table", "kind",
					  "RAM comes before its checksums");
	}
	return diag_field(d, FAIL(ERR_MISSING), "table", "kind", "section ram-sums is missing");
}

/* Where the RAM checksums begin. Sections must follow each other as the layout has them, so that
 * the answer is no larger than what they hold; the geometry judges kinds and order later. */
static err_t extent_of(const struct snap_head *h, const struct snap_row *rows, struct diag *d,
		       bytes_t *ret_need)
{
	uint64_t at = FILE_PAGE + (uint64_t)h->sections * SNAP_ROW_SIZE;

	uint32_t i;

	for (i = 0; i < h->sections && rows[i].id.kind != SECT_RAM; i++) {
		const struct snap_row *r = &rows[i];

		if (!u64_align_up(at, FILE_SECT_ALIGN, &at) || r->offset.v != at)
			return diag_field(d, FAIL(ERR_LAYOUT), "table", "offset",
					  "row %" PRIu32 " is at %" PRIu64 ", expected %" PRIu64, i,
					  r->offset.v, at);
		if (r->id.kind == SECT_RAM_SUMS) {
			*ret_need = BYTES(at);
			return OK;
		}
		at += r->size.v; /* at most a few hundred MiB: sizes are within their kinds' */
	}
	return sums_missing(h, rows, i, d);
}

err_t image_extent(struct cur first, foff_t file_len, struct diag *d, bytes_t *ret_need)
{
	struct snap_row rows[SNAP_ROWS_MAX];
	struct snap_head h;
	bytes_t need;

	TRY(front_parse(first, file_len, d, &h, rows));
	TRY(extent_of(&h, rows, d, &need));
	if (need.v > file_len.v)
		return diag_field(d, FAIL(ERR_TRUNCATED), "table", "offset",
				  "the sections end at %" PRIu64 ", the file at %" PRIu64, need.v,
				  file_len.v);
	*ret_need = need;
	return OK;
}

/* The bytes of one section, after its checksum was found right. */
static err_t section_open(struct cur meta, const struct snap_row *r, struct diag *d,
			  struct cur *ret_box)
{
	const char *word = sect_kind_word(r->id.kind);
	struct cur skip, box;
	uint64_t sum;

	if (failed(cur_take(&meta, r->offset.v, &skip)) ||
	    failed(cur_take(&meta, r->size.v, &box)))
		return diag_field(d, FAIL(ERR_LAYOUT), "table", "offset",
				  "section %s does not lie before the RAM checksums", word);
	sum = crc64(box.at, cur_left(&box));
	if (sum != r->crc) {
		diag_offset(d, r->offset.v);
		return diag_field(d, FAIL(ERR_CHECKSUM), word, "crc",
				  "%s %" PRIu32 " has %016" PRIx64 ", the table says %016" PRIx64,
				  word, r->id.index, sum, r->crc);
	}
	*ret_box = box;
	return OK;
}

/* Decoders count offsets from the start of their section and do not know which of several it is:
 * makes the first an offset in the file and says the second. */
static err_t place(err_t e, const struct snap_row *r, bool had_offset, struct diag *d)
{
	char name[32];

	if (!failed(e) || d == NULL || d->text[0] == '\0')
		return e;
	if (!had_offset && d->has_offset)
		d->offset += r->offset.v;
	if (sect_kind_per(r->id.kind) != SECT_ONE) {
		(void)snprintf(name, sizeof name, "%s %" PRIu32, sect_kind_word(r->id.kind),
			       r->id.index);
		diag_prefix(d, name);
	}
	return e;
}

static err_t topology_read(const struct image *im, struct cur meta, struct diag *d,
			   struct topology_section *ret_section)
{
	for (uint32_t i = 0; i < im->head.sections; i++) {
		const struct snap_row *r = &im->rows[i];
		bool had = d != NULL && d->has_offset;
		struct cur box;

		if (r->id.kind != SECT_TOPOLOGY)
			continue;
		TRY(section_open(meta, r, d, &box));
		return place(topology_section_parse(box, d, ret_section), r, had, d);
	}
	return diag_field(d, FAIL(ERR_MISSING), "table", "kind", "section topology is missing");
}

/* Kinds and queue counts go to the one maker of topologies; the rest is compared with its answer. */
static err_t topology_judge(const struct topology_section *s, const struct topology *t,
			    struct diag *d)
{
	struct topo_slot slots[SHAPE_DEVICES_MAX];

	for (uint32_t i = 0; i < s->n; i++) {
		const struct topology_row *r = &s->rows[i];

		slots[i] = (struct topo_slot){
			.queues = r->queues,
			.slot = { r->slot },
			.gsi = { r->gsi },
			.mmio = GPA(r->mmio),
			.mmio_len = BYTES(r->mmio_len),
			.notify = GPA(r->notify),
			.first_wake = r->first_wake,
		};
		TRY(dev_kind_parse(r->kind, &slots[i].kind));
	}
	return topology_check_slots(t, slots, s->n, d);
}

static err_t shape_of(const struct snap_head *h, const struct topology_section *s, struct diag *d,
		      struct shape *ret_shape)
{
	struct shape shape = { .arch = h->arch, .vcpus = h->vcpus, .ram = h->ram,
			       .n_devices = s->n };

	if (s->vcpus != h->vcpus)
		return diag_field(d, FAIL(ERR_LAYOUT), "topology", "vcpus",
				  "is %" PRIu32 ", the header says %" PRIu32, s->vcpus, h->vcpus);
	for (uint32_t i = 0; i < s->n; i++) {
		shape.devices[i].queues = s->rows[i].queues;
		TRY(dev_kind_parse(s->rows[i].kind, &shape.devices[i].kind));
	}
	*ret_shape = shape;
	return OK;
}

static void topology_drop(const struct topology **t)
{
	topology_free(*t);
}

static err_t geometry_read(struct image *im, struct cur meta, struct diag *d)
{
	__attribute__((cleanup(topology_drop))) const struct topology *t = NULL;
	struct topology_section section;
	struct shape shape;

	TRY(topology_read(im, meta, d, &section));
	TRY(shape_of(&im->head, &section, d, &shape));
	TRY(topology_plan(&shape, d, &t));
	TRY(topology_judge(&section, t, d));
	return geometry_plan(t, d, &im->geometry);
}

/* The layout is made anew from kinds and sizes and must be what the file has. */
static err_t layout_check(const struct image *im, struct diag *d)
{
	struct snap_row planned[SNAP_ROWS_MAX];
	uint32_t n = im->head.sections;
	bytes_t total;

	memcpy(planned, im->rows, n * sizeof planned[0]);
	TRY(geometry_layout(im->geometry, planned, n, d, &total));
	for (uint32_t i = 0; i < n; i++) {
		if (im->rows[i].offset.v != planned[i].offset.v)
			return diag_field(d, FAIL(ERR_LAYOUT), "table", "offset",
					  "row %" PRIu32 " is at %" PRIu64 ", expected %" PRIu64, i,
					  im->rows[i].offset.v, planned[i].offset.v);
	}
	if (im->head.total.v != total.v)
		return diag_field(d, FAIL(ERR_LAYOUT), "header", "total",
				  "is %" PRIu64 ", expected %" PRIu64, im->head.total.v, total.v);
	return OK;
}

/* Between the table, the sections and the RAM checksums. */
static err_t padding_check(const struct image *im, struct cur meta, struct diag *d)
{
	uint64_t end = FILE_PAGE + (uint64_t)im->head.sections * SNAP_ROW_SIZE;
	struct cur box;

	TRY(cur_take(&meta, end, &box));
	for (uint32_t i = 0; im->rows[i].id.kind != SECT_RAM; i++) {
		const struct snap_row *r = &im->rows[i];

		if (failed(cur_zero(&meta, r->offset.v - end))) {
			diag_offset(d, end);
			return diag_field(d, FAIL(ERR_RESERVED), "padding", "bytes",
					  "must be zero between %" PRIu64 " and %" PRIu64, end,
					  r->offset.v);
		}
		if (r->id.kind != SECT_RAM_SUMS)
			TRY(cur_take(&meta, r->size.v, &box));
		end = r->offset.v + r->size.v;
	}
	return OK;
}

static err_t vcpu_read(struct image *im, uint32_t index, struct cur in, struct diag *d)
{
	struct vcpu_x86_64 *v = &im->vcpus[index];

	TRY(vcpu_x86_64_parse(in, d, v));
	if (v->id.v != index)
		return diag_field(d, FAIL(ERR_LAYOUT), "vcpu", "id",
				  "is %" PRIu32 ", expected %" PRIu32, v->id.v, index);
	if (v->xsave_len != im->inventory.xsave_size)
		return diag_field(d, FAIL(ERR_LAYOUT), "vcpu", "xsave_len",
				  "is %" PRIu32 ", the inventory says %" PRIu32, v->xsave_len,
				  im->inventory.xsave_size);
	return OK;
}

static err_t device_read(struct image *im, uint32_t index, struct cur in, struct diag *d)
{
	const struct topo_slot *slot = topology_slot(geometry_topology(im->geometry), index);
	struct device_state *v = &im->devices[index];

	TRY(device_state_parse(in, d, v));
	if (v->kind != slot->kind)
		return diag_field(d, FAIL(ERR_LAYOUT), "device", "kind",
				  "is %s, the topology says %s", dev_kind_word(v->kind),
				  dev_kind_word(slot->kind));
	if (v->n_queues != slot->queues)
		return diag_field(d, FAIL(ERR_LAYOUT), "device", "n_queues",
				  "is %" PRIu32 ", the topology says %" PRIu32, v->n_queues,
				  slot->queues);
	return rings_check(im->geometry, v, d);
}

static err_t ram_map_read(struct image *im, struct cur in, struct diag *d)
{
	size_t len;

	TRY(ram_map_parse(in, im->head.ram, d, &im->ram_map));
	len = (size_t)((im->ram_map.blocks + 7) / 8);
	im->ram_bits = malloc(len);
	if (im->ram_bits == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(im->ram_bits, im->ram_map.bits, len);
	im->ram_map.bits = im->ram_bits;
	return OK;
}

static err_t sums_check(const struct image *im, const struct snap_row *r, struct diag *d)
{
	if (r->size.v != im->ram_map.present * sizeof(uint64_t))
		return diag_field(d, FAIL(ERR_SIZE), "ram-sums", "size",
				  "is %" PRIu64 ", expected 8 for each of %" PRIu64 " blocks",
				  r->size.v, im->ram_map.present);
	return OK;
}

static err_t section_decode(struct image *im, const struct snap_row *r, struct cur in,
			    struct diag *d)
{
	switch (r->id.kind) {
	case SECT_INVENTORY: return inventory_parse(in, d, &im->inventory);
	case SECT_TOPOLOGY: return OK; /* judged first */
	case SECT_CONFIG: return machine_note_parse(in, d, &im->note);
	case SECT_VCPU: return vcpu_read(im, r->id.index, in, d);
	case SECT_IRQCHIP: return irqchip_x86_64_parse(in, d, &im->irqchip);
	case SECT_CLOCK: return clock_x86_64_parse(in, d, &im->clock);
	case SECT_DEVICE: return device_read(im, r->id.index, in, d);
	case SECT_SERIAL: return serial_state_parse(in, d, &im->serial);
	case SECT_RAM_MAP: return ram_map_read(im, in, d);
	case SECT_RAM_SUMS:
	case SECT_RAM:
		break;
	}
	unreachable_by_type();
}

/* In the order of the file, which the layout has fixed: the inventory before the vCPUs that are
 * compared with it, the RAM descriptor before its checksums. */
static err_t sections_read(struct image *im, struct cur meta, struct diag *d)
{
	for (const struct snap_row *r = im->rows;; r++) {
		bool had = d != NULL && d->has_offset;
		struct cur box;

		if (r->id.kind == SECT_RAM_SUMS)
			return sums_check(im, r, d);
		TRY(section_open(meta, r, d, &box));
		TRY(place(section_decode(im, r, box, d), r, had, d));
	}
}

static uint32_t devices_of(const struct image *i)
{
	return topology_slots(geometry_topology(i->geometry));
}

static err_t room_make(struct image *im)
{
	im->vcpus = calloc(im->head.vcpus, sizeof im->vcpus[0]);
	im->devices = calloc((size_t)devices_of(im) + 1, sizeof im->devices[0]);
	return im->vcpus == NULL || im->devices == NULL ? FAIL(ERR_NOMEM) : OK;
}

err_t image_parse(struct cur meta, foff_t file_len, struct diag *d, const struct image **ret_image)
{
	__attribute__((cleanup(image_drop))) struct image *im = calloc(1, sizeof *im);
	struct cur box;

	if (im == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&im->references);
	TRY(front_parse(meta, file_len, d, &im->head, im->rows));
	TRY(extent_of(&im->head, im->rows, d, &im->need));
	if (failed(cur_take(&meta, im->need.v, &box)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "table", "offset",
				  "the sections end at %" PRIu64 ", %zu bytes are there",
				  im->need.v, cur_left(&meta));
	TRY(geometry_read(im, box, d));
	TRY(layout_check(im, d));
	TRY(padding_check(im, box, d));
	TRY(room_make(im));
	TRY(sections_read(im, box, d));
	*ret_image = take_ptr(im);
	return OK;
}

/* What is counted is who holds it; the image itself never changes. */
static struct refs *references_of(const struct image *i)
{
	return &((struct image *)(uintptr_t)i)->references;
}

const struct image *image_again(const struct image *i)
{
	refs_take(references_of(i));
	return i;
}

void image_free(const struct image *i)
{
	if (i == NULL || !refs_drop(references_of(i)))
		return;
	for (uint32_t k = 0; i->devices != NULL && k < devices_of(i); k++)
		device_state_clear(&i->devices[k]);
	geometry_free(i->geometry);
	free(i->vcpus);
	free(i->devices);
	free(i->ram_bits);
	free((void *)i);
}

const struct snap_head *image_head(const struct image *i)
{
	return &i->head;
}

const struct geometry *image_geometry(const struct image *i)
{
	return i->geometry;
}

const struct snap_row *image_row(const struct image *i, enum sect_kind kind, uint32_t index)
{
	for (uint32_t k = 0; k < i->head.sections; k++) {
		if (i->rows[k].id.kind == kind && i->rows[k].id.index == index)
			return &i->rows[k];
	}
	return NULL;
}

uint32_t image_rows(const struct image *i)
{
	return i->head.sections;
}

const struct snap_row *image_row_at(const struct image *i, uint32_t n)
{
	assert(n < i->head.sections);
	return &i->rows[n];
}

const struct inventory *image_inventory(const struct image *i)
{
	return &i->inventory;
}

const struct machine_note *image_note(const struct image *i)
{
	return &i->note;
}

const struct vcpu_x86_64 *image_vcpu(const struct image *i, vcpu_id id)
{
	assert(id.v < i->head.vcpus);
	return &i->vcpus[id.v];
}

const struct irqchip_x86_64 *image_irqchip(const struct image *i)
{
	return &i->irqchip;
}

const struct clock_x86_64 *image_clock(const struct image *i)
{
	return &i->clock;
}

const struct device_state *image_device(const struct image *i, slot_id slot)
{
	assert(slot.v < devices_of(i));
	return &i->devices[slot.v];
}

const struct serial_state *image_serial(const struct image *i)
{
	return &i->serial;
}

const struct ram_map *image_ram_map(const struct image *i)
{
	return &i->ram_map;
}
