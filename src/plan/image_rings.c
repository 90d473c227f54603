/* SPDX-License-Identifier: Apache-2.0 */
/* Where a saved device's rings may lie. The codec has judged alignment and wrap-around; only the
 * geometry knows RAM. */
#include "plan/image_rings.h"

#include <inttypes.h>

static bool ram_holds(const struct geometry *g, gpa_t at, uint64_t len)
{
	for (uint32_t i = 0; i < geometry_ram_regions(g); i++) {
		struct ram_region r = geometry_ram_region(g, i);

		if (range_holds(r.at.v, r.len.v, at.v, len))
			return true;
	}
	return false;
}

static err_t ring_check(const struct geometry *g, const char *field, uint32_t queue, gpa_t at,
			uint64_t len, struct diag *d)
{
	if (ram_holds(g, at, len))
		return OK;
	return diag_field(d, FAIL(ERR_DEVICE), "device", field,
			  "queue %" PRIu32 ": %" PRIu64 " bytes at 0x%" PRIx64
			  " do not lie in RAM", queue, len, at.v);
}

err_t rings_check(const struct geometry *g, const struct device_state *v, struct diag *d)
{
	for (uint32_t i = 0; i < v->n_queues; i++) {
		const struct queue_state *q = &v->queues[i];

		if (!q->ready)
			continue;
		TRY(ring_check(g, "queue.desc", i, q->desc, QUEUE_DESC_LEN(q->size), d));
		TRY(ring_check(g, "queue.driver", i, q->driver, QUEUE_DRIVER_LEN(q->size), d));
		TRY(ring_check(g, "queue.device", i, q->device, QUEUE_DEVICE_LEN(q->size), d));
	}
	return OK;
}
