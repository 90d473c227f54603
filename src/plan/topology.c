/* SPDX-License-Identifier: Apache-2.0 */
/* The one planner of devices. A shape is loose numbers; what comes out has been judged by the
 * same rules that judge rows from a file or a supervisor (topology_check.c). */
#include "plan/topology.h"

#include <inttypes.h>

#include "base/heap.h"
#include "flow.h"
#include "plan/map.h"
#include "plan/topology_check.h"

enum { WAKES_MAX = SHAPE_DEVICES_MAX * SHAPE_QUEUES_MAX };

struct topology {
	struct shape shape;
	struct topo_slot slots[SHAPE_DEVICES_MAX];
	uint32_t n_wakes;
	struct wake wakes[WAKES_MAX];
};

static err_t shape_check(const struct shape *in, struct diag *d)
{
	if (in->arch != map_arch())
		return diag_field(d, FAIL(ERR_ARCH), "topology", "arch",
				  "architecture %d, this build is for %d", (int)in->arch,
				  (int)map_arch());
	if (in->vcpus < 1 || in->vcpus > SHAPE_VCPUS_MAX)
		return diag_field(d, FAIL(ERR_TOPOLOGY), "topology", "vcpus",
				  "%" PRIu32 " vCPUs, expected 1 to %d", in->vcpus,
				  SHAPE_VCPUS_MAX);
	if (in->n_devices > SHAPE_DEVICES_MAX)
		return diag_field(d, FAIL(ERR_TOPOLOGY), "topology", "devices",
				  "%" PRIu32 " devices, expected at most %d", in->n_devices,
				  SHAPE_DEVICES_MAX);
	for (uint32_t i = 0; i < in->n_devices; i++)
		TRY(slot_kind_check(i, in->devices[i].kind, in->devices[i].queues, d));
	return OK;
}

static void slot_place(struct topology *t, uint32_t i)
{
	const struct dev_shape *dev = &t->shape.devices[i];
	struct map_window w = map_slot((slot_id){ i });

	t->slots[i] = (struct topo_slot){
		.kind = dev->kind,
		.queues = dev->queues,
		.slot = { i },
		.gsi = w.gsi,
		.mmio = w.mmio,
		.mmio_len = w.len,
		.notify = w.notify,
		.first_wake = t->n_wakes,
	};
	for (uint32_t q = 0; q < dev->queues; q++) {
		t->wakes[t->n_wakes] = (struct wake){
			.slot = { i },
			.queue = { q },
			.gsi = w.gsi,
			.notify = w.notify,
			.wake = t->n_wakes,
			.resample = WAKE_NO_RESAMPLE,
		};
		t->n_wakes++;
	}
}

err_t topology_plan(const struct shape *in, struct diag *d, const struct topology **ret_top)
{
	struct topology *t __attribute__((cleanup(heap_drop))) = NULL;

	TRY(shape_check(in, d));
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return FAIL(ERR_NOMEM);
	t->shape.arch = in->arch;
	t->shape.vcpus = in->vcpus;
	t->shape.ram = in->ram;
	t->shape.n_devices = in->n_devices;
	for (uint32_t i = 0; i < in->n_devices; i++) {
		t->shape.devices[i] = in->devices[i];
		slot_place(t, i);
	}
	*ret_top = take_ptr(t);
	return OK;
}

void topology_free(const struct topology *t)
{
	free((void *)t);
}

const struct shape *topology_shape(const struct topology *t)
{
	return &t->shape;
}

uint32_t topology_slots(const struct topology *t)
{
	return t->shape.n_devices;
}

uint32_t topology_disks(const struct topology *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->shape.n_devices; i++)
		n += t->shape.devices[i].kind == DEV_BLK;
	return n;
}

const struct topo_slot *topology_slot(const struct topology *t, uint32_t i)
{
	assert(i < t->shape.n_devices);
	return &t->slots[i];
}

uint32_t topology_wakes(const struct topology *t)
{
	return t->n_wakes;
}

struct wake topology_wake(const struct topology *t, uint32_t wake)
{
	assert(wake < t->n_wakes);
	return t->wakes[wake];
}
