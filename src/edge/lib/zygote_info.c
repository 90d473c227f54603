/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote as a JSON document. */
#include <sys/stat.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/inspect.h"
#include "edge/lib/json_read.h"
#include "edge/lib/zygote.h"
#include "life/zygote_parts.h"

/* All zero: null. */
static void put_id(json_t *object, const char *key, struct zygote_id id)
{
	uint8_t any = 0;

	for (size_t i = 0; i < sizeof id.bytes; i++)
		any |= id.bytes[i];
	if (any != 0)
		put_bytes(object, key, id.bytes, sizeof id.bytes);
	else
		(void)json_object_set_new(object, key, json_null());
}

static json_t *devices(const struct image *i)
{
	const struct topology *t = geometry_topology(image_geometry(i));
	json_t *list = json_array();

	for (uint32_t n = 0; n < topology_slots(t); n++) {
		const struct topo_slot *s = topology_slot(t, n);

		(void)json_array_append_new(list, json_pack("{s:s, s:I}", "kind",
							    dev_kind_word(s->kind), "queues",
							    (json_int_t)s->queues));
	}
	return list;
}

static void put_memory(json_t *object, const struct ram_base *ram)
{
	json_t *layers = json_array();
	int64_t resident = 0;

	for (uint32_t i = 0; i < ram_base_sources(ram); i++) {
		json_t *layer = json_object();
		struct stat st = { .st_blocks = 0 };

		(void)fstat(ram_base_source(ram, i), &st);
		put_number(layer, "inode", (int64_t)st.st_ino);
		put_number(layer, "resident", (int64_t)st.st_blocks * 512);
		resident += (int64_t)st.st_blocks * 512;
		(void)json_array_append_new(layers, layer);
	}
	put_number(object, "pieces", ram_base_extents(ram)->n);
	put_number(object, "resident", resident);
	(void)json_object_set_new(object, "layers", layers);
}

static json_t *document(const struct zygote *z)
{
	const struct image *i = zygote_image(z);
	const struct snap_head *h = image_head(i);
	json_t *j = json_object();

	put_id(j, "id", zygote_id(z));
	put_id(j, "parent", zygote_parent(z));
	(void)json_object_set_new(j, "name", json_string(image_note(i)->name));
	put_number(j, "generation", (int64_t)h->generation);
	put_number(j, "created", h->created_sec);
	put_number(j, "vcpus", h->vcpus);
	put_number(j, "memory", (int64_t)h->ram.v);
	(void)json_object_set_new(j, "devices", devices(i));
	put_memory(j, z->ram);
	return j;
}

int spore_zygote_info(spore_zygote *z, char **ret_json, struct spore_error *err)
{
	owned_json doc = document(z->zygote);
	char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;

	if (text == NULL)
		return error_give(FAIL(ERR_NOMEM), NULL, err);
	*ret_json = text;
	return SPORE_OK;
}
