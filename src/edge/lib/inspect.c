/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "life/snapshot.h"

void put_number(json_t *object, const char *key, int64_t v)
{
	(void)json_object_set_new(object, key, json_integer(v));
}

json_t *hex_json(uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof text, "0x%" PRIx64, v);
	return json_string(text);
}

void put_hex(json_t *object, const char *key, uint64_t v)
{
	(void)json_object_set_new(object, key, hex_json(v));
}

void put_bytes(json_t *object, const char *key, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = calloc(2, n + 1);

	if (text == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	(void)json_object_set_new(object, key, json_stringn_nocheck(text, 2 * n));
	free(text);
}

static json_t *header(const struct image *i)
{
	const struct snap_head *h = image_head(i);
	json_t *j = json_object();

	put_number(j, "version", h->version);
	put_number(j, "arch", (int)h->arch);
	put_number(j, "page_size", h->page_size);
	put_number(j, "sections", h->sections);
	put_bytes(j, "machine_id", h->machine_id, sizeof h->machine_id);
	put_number(j, "generation", (int64_t)h->generation);
	put_number(j, "created_sec", h->created_sec);
	put_number(j, "created_nsec", h->created_nsec);
	put_number(j, "vcpus", h->vcpus);
	put_number(j, "ram", (int64_t)h->ram.v);
	put_number(j, "total", (int64_t)h->total.v);
	put_hex(j, "crc", h->crc);
	return j;
}

static json_t *table(const struct image *i)
{
	json_t *rows = json_array();

	for (uint32_t n = 0; n < image_rows(i); n++) {
		const struct snap_row *r = image_row_at(i, n);
		json_t *j = json_object();

		(void)json_object_set_new(j, "kind", json_string(sect_kind_word(r->id.kind)));
		put_number(j, "index", r->id.index);
		put_number(j, "offset", (int64_t)r->offset.v);
		put_number(j, "size", (int64_t)r->size.v);
		put_hex(j, "crc", r->crc);
		(void)json_array_append_new(rows, j);
	}
	return rows;
}

static json_t *inventory(const struct image *i)
{
	const struct inventory *v = image_inventory(i);
	json_t *j = json_object(), *caps = json_array();

	put_number(j, "xsave_size", v->xsave_size);
	put_number(j, "tsc_khz", v->tsc_khz);
	for (uint32_t n = 0; n < v->n_caps; n++)
		(void)json_array_append_new(caps, json_integer(v->caps[n]));
	(void)json_object_set_new(j, "caps", caps);
	(void)json_object_set_new(j, "cpu_vendor", json_string(v->cpu_vendor));
	(void)json_object_set_new(j, "cpu_model", json_string(v->cpu_model));
	return j;
}

static json_t *topology(const struct image *i)
{
	const struct topology *t = geometry_topology(image_geometry(i));
	json_t *slots = json_array();

	for (uint32_t n = 0; n < topology_slots(t); n++) {
		const struct topo_slot *s = topology_slot(t, n);
		json_t *j = json_object();

		(void)json_object_set_new(j, "kind", json_string(dev_kind_word(s->kind)));
		put_number(j, "queues", s->queues);
		put_number(j, "slot", s->slot.v);
		put_number(j, "gsi", s->gsi.v);
		put_number(j, "first_wake", s->first_wake);
		put_hex(j, "mmio", s->mmio.v);
		put_hex(j, "mmio_len", s->mmio_len.v);
		put_hex(j, "notify", s->notify.v);
		(void)json_array_append_new(slots, j);
	}
	return json_pack("{s:I, s:o}", "vcpus", (json_int_t)image_head(i)->vcpus, "slots", slots);
}

static json_t *config(const struct image *i)
{
	const struct machine_note *v = image_note(i);

	return json_pack("{s:I, s:s, s:s, s:s, s:s}", "boot_method", (json_int_t)v->boot_method,
			 "name", v->name, "kernel", v->kernel, "initrd", v->initrd, "cmdline",
			 v->cmdline);
}

static json_t *clocks(const struct image *i)
{
	const struct clock_x86_64 *v = image_clock(i);
	json_t *j = json_object();

	put_number(j, "kvmclock_ns", (int64_t)v->kvmclock_ns);
	put_number(j, "realtime_ns", (int64_t)v->realtime_ns);
	put_number(j, "host_ns", (int64_t)v->host_ns);
	return j;
}

static bool bit(const struct ram_map *m, uint64_t i)
{
	return (m->bits[i / 8] >> (i % 8) & 1) != 0;
}

/* Blocks that hold data, as [first, how many]. */
static json_t *runs(const struct ram_map *m)
{
	json_t *list = json_array();

	for (uint64_t i = 0; i < m->blocks;) {
		uint64_t first = i;

		while (i < m->blocks && bit(m, i))
			i++;
		if (i != first)
			(void)json_array_append_new(list, json_pack("[I, I]", (json_int_t)first,
								    (json_int_t)(i - first)));
		else
			i++;
	}
	return list;
}

static json_t *ram_map(const struct image *i)
{
	const struct ram_map *m = image_ram_map(i);

	return json_pack("{s:i, s:I, s:I, s:o}", "block_size", (int)RAM_BLOCK, "blocks",
			 (json_int_t)m->blocks, "present", (json_int_t)m->present, "runs", runs(m));
}

static json_t *document(const struct image *i)
{
	const struct topology *t = geometry_topology(image_geometry(i));
	json_t *vcpus = json_array(), *devices = json_array();

	for (uint32_t n = 0; n < image_head(i)->vcpus; n++)
		(void)json_array_append_new(vcpus, inspect_vcpu(image_vcpu(i, (vcpu_id){ n })));
	for (uint32_t n = 0; n < topology_slots(t); n++)
		(void)json_array_append_new(devices, inspect_device(image_device(i, (slot_id){ n })));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "header",
			 header(i), "table", table(i), "inventory", inventory(i), "topology",
			 topology(i), "config", config(i), "vcpu", vcpus, "irqchip",
			 inspect_irqchip(image_irqchip(i)), "clock", clocks(i), "device", devices,
			 "serial", inspect_serial(image_serial(i)), "ram-map", ram_map(i));
}

int spore_inspect(const char *path, char **ret_json, struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	struct snapshot *s = NULL;
	owned_json doc = NULL;
	err_t e = snapshot_open(path, &d, &s);
	char *text;

	if (failed(e))
		return error_give(e, &d, err);
	doc = document(snapshot_image(s));
	snapshot_free(s);
	text = json_dumps(doc, JSON_INDENT(2));
	if (text == NULL)
		return error_give(FAIL(ERR_NOMEM), NULL, err);
	*ret_json = text;
	return SPORE_OK;
}
