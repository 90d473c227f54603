/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker makes of the zygote that it was given. */
#include "life/heir.h"

#include <inttypes.h>
#include <stdio.h>

#include "life/zygote_parts.h"

static err_t shape_check(const struct shape *is, const struct shape *was, struct diag *d)
{
	bool same = is->vcpus == was->vcpus && is->ram.v == was->ram.v &&
		    is->n_devices == was->n_devices;

	for (uint32_t i = 0; i < was->n_devices && same; i++)
		same = is->devices[i].kind == was->devices[i].kind &&
		       is->devices[i].queues == was->devices[i].queues;
	if (!same)
		return diag_fail(d, FAIL(ERR_TOPOLOGY), "what was frozen is another machine than "
				 "what was spawned");
	return OK;
}

static err_t disk_take(struct zygote *heir, const struct zygote *of, uint32_t slot,
		       struct disk_copies **copies, struct diag *d)
{
	err_t e = disk_base_inherit(heir->disks[slot], of->disks[slot], copies, d);
	char what[48];

	if (failed(e)) {
		(void)snprintf(what, sizeof what, "the disk in slot %" PRIu32 ", as it was frozen", slot);
		diag_prefix(d, what);
	}
	return e;
}

/* There are disks in the same slots, as the shapes are the same. */
err_t heir_take(struct zygote *heir, const struct zygote *of, struct heir_copies *copies,
		struct diag *d)
{
	const struct topology *is = geometry_topology(image_geometry(heir->image));
	const struct topology *was = geometry_topology(image_geometry(of->image));

	TRY(shape_check(topology_shape(is), topology_shape(was), d));
	for (uint32_t i = 0; i < topology_slots(was); i++)
		if (of->disks[i] != NULL)
			TRY(disk_take(heir, of, i, copies == NULL ? NULL : &copies->disk[i], d));
	return OK;
}

void heir_copies_drop(struct heir_copies *c)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		disk_copies_free(c->disk[i]);
		c->disk[i] = NULL;
	}
}
