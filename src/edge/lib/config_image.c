/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/config_image.h"

#include <stdio.h>

#include "edge/lib/config_doc.h"

static const char *word(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

/* Disk `index`: the caller's file before the image's. */
static struct spore_disk disk_of(const struct device_state *v, uint32_t index,
				 const struct config_disks *given)
{
	struct spore_disk k = { v->blk.base.path, (uint32_t)v->blk.mode, 0 };

	for (size_t i = 0; i < given->n; i++) {
		const struct spore_identity_disk *g = &given->disk[i];

		if (g->index != index || g->path == NULL)
			continue;
		k.path = g->path;
		if (g->mode != 0)
			k.mode = g->mode;
		break;
	}
	return k;
}

err_t config_doc_of_image(const struct image *i, const struct config_disks *given, struct diag *d,
			  json_t **ret_doc)
{
	const struct machine_note *note = image_note(i);
	const struct topology *t = geometry_topology(image_geometry(i));
	struct spore_disk disks[SHAPE_DEVICES_MAX];
	struct spore_config c = SPORE_CONFIG_INIT;

	c.kernel = word(note->kernel);
	c.initrd = word(note->initrd);
	c.cmdline = word(note->cmdline);
	c.boot = note->boot_method;
	c.cpus = image_head(i)->vcpus;
	c.memory = image_head(i)->ram.v;
	c.disks = disks;
	for (uint32_t s = 0; s < topology_slots(t); s++) {
		const struct device_state *v = image_device(i, topology_slot(t, s)->slot);

		if (v->kind != DEV_BLK)
			continue;
		disks[c.n_disks] = disk_of(v, (uint32_t)c.n_disks, given);
		c.n_disks++;
	}
	return config_doc_of(&c, d, ret_doc);
}

void config_image_name(const struct image *i, const char *name, char *ret, size_t cap)
{
	(void)snprintf(ret, cap, "%s", name != NULL ? name : image_note(i)->name);
}
