/* SPDX-License-Identifier: Apache-2.0 */
/* Judges slot and wake rows that came from somewhere else. First the rules that any machine must
 * keep, each with its own sentence; then equality with the one plan, so that a rule nobody thought
 * of cannot be broken either. The rows may hold anything; their number is judged before they are
 * looked at, so the work is bounded by the plan's own size. */
#include "plan/topology_check.h"

#include <inttypes.h>

#include "plan/topology.h"

#define SLOTS "topology"
#define WAKES "wakes"
#define NOTIFY_WIDTH 4u

err_t slot_kind_check(uint32_t i, enum dev_kind kind, uint32_t queues, struct diag *d)
{
	enum dev_kind known;
	uint32_t least, most;

	if (failed(dev_kind_parse((uint32_t)kind, &known)))
		return diag_field(d, FAIL(ERR_TOPOLOGY), SLOTS, "kind", "slot %" PRIu32
				  " has the device kind %" PRIu32 ", which does not exist", i,
				  (uint32_t)kind);
	least = dev_kind_queues_min(known);
	most = dev_kind_queues_max(known);
	if (queues < least || queues > most)
		return diag_field(d, FAIL(ERR_TOPOLOGY), SLOTS, "queues", "slot %" PRIu32 " (%s) "
				  "has %" PRIu32 " queues, expected %" PRIu32 " to %" PRIu32, i,
				  dev_kind_word(known), queues, least, most);
	return OK;
}

/* Two rows that share what only one may have. */
static err_t twice(struct diag *d, const char *section, const char *field, uint32_t i, uint32_t j,
		   uint64_t value)
{
	return diag_field(d, FAIL(ERR_DUPLICATE), section, field, "row %" PRIu32 " has 0x%" PRIx64
			  ", which row %" PRIu32 " has already", i, value, j);
}

static err_t equal(struct diag *d, const char *section, const char *field, uint32_t i, uint64_t is,
		   uint64_t planned)
{
	if (is == planned)
		return OK;
	return diag_field(d, FAIL(ERR_LAYOUT), section, field, "row %" PRIu32 " has 0x%" PRIx64
			  ", expected 0x%" PRIx64, i, is, planned);
}

static err_t count_equal(struct diag *d, const char *section, const char *field, uint32_t is,
			 uint32_t planned)
{
	if (is == planned)
		return OK;
	return diag_field(d, FAIL(ERR_LAYOUT), section, field, "%" PRIu32 " rows, expected %" PRIu32,
			  is, planned);
}

static err_t window_check(const struct topo_slot *row, uint32_t i, struct diag *d)
{
	gpa_t end;

	if (row->mmio_len.v == 0 || !gpa_end(row->mmio, row->mmio_len, &end))
		return diag_field(d, FAIL(ERR_TOPOLOGY), SLOTS, "mmio_len", "row %" PRIu32
				  ": a window of 0x%" PRIx64 " bytes at 0x%" PRIx64
				  " is empty or wraps around", i, row->mmio_len.v, row->mmio.v);
	return OK;
}

static err_t notify_check(const struct topo_slot *row, uint32_t i, struct diag *d)
{
	if (!range_holds(row->mmio.v, row->mmio_len.v, row->notify.v, NOTIFY_WIDTH))
		return diag_field(d, FAIL(ERR_TOPOLOGY), SLOTS, "notify", "row %" PRIu32
				  ": 0x%" PRIx64 " lies outside the device's window at 0x%" PRIx64,
				  i, row->notify.v, row->mmio.v);
	return OK;
}

static err_t slots_differ(const struct topo_slot *rows, uint32_t i, uint32_t j, struct diag *d)
{
	const struct topo_slot *a = &rows[i], *b = &rows[j];

	if (a->slot.v == b->slot.v)
		return twice(d, SLOTS, "slot", i, j, a->slot.v);
	if (a->gsi.v == b->gsi.v)
		return twice(d, SLOTS, "gsi", i, j, a->gsi.v);
	if (a->notify.v == b->notify.v)
		return twice(d, SLOTS, "notify", i, j, a->notify.v);
	if (ranges_overlap(a->mmio.v, a->mmio_len.v, b->mmio.v, b->mmio_len.v))
		return diag_field(d, FAIL(ERR_TOPOLOGY), SLOTS, "mmio", "the window of row %" PRIu32
				  " at 0x%" PRIx64 " overlaps that of row %" PRIu32 " at 0x%" PRIx64,
				  i, a->mmio.v, j, b->mmio.v);
	if (ranges_overlap(a->first_wake, a->queues, b->first_wake, b->queues))
		return diag_field(d, FAIL(ERR_DUPLICATE), SLOTS, "first_wake", "the wake indexes of "
				  "row %" PRIu32 " from %" PRIu32 " overlap those of row %" PRIu32
				  " from %" PRIu32, i, a->first_wake, j, b->first_wake);
	return OK;
}

static err_t slot_equal(const struct topo_slot *row, const struct topo_slot *plan, uint32_t i,
			struct diag *d)
{
	TRY(equal(d, SLOTS, "kind", i, (uint32_t)row->kind, (uint32_t)plan->kind));
	TRY(equal(d, SLOTS, "queues", i, row->queues, plan->queues));
	TRY(equal(d, SLOTS, "slot", i, row->slot.v, plan->slot.v));
	TRY(equal(d, SLOTS, "gsi", i, row->gsi.v, plan->gsi.v));
	TRY(equal(d, SLOTS, "mmio", i, row->mmio.v, plan->mmio.v));
	TRY(equal(d, SLOTS, "mmio_len", i, row->mmio_len.v, plan->mmio_len.v));
	TRY(equal(d, SLOTS, "notify", i, row->notify.v, plan->notify.v));
	return equal(d, SLOTS, "first_wake", i, row->first_wake, plan->first_wake);
}

err_t topology_check_slots(const struct topology *t, const struct topo_slot *rows, uint32_t n,
			   struct diag *d)
{
	TRY(count_equal(d, SLOTS, "devices", n, topology_slots(t)));
	for (uint32_t i = 0; i < n; i++) {
		TRY(slot_kind_check(i, rows[i].kind, rows[i].queues, d));
		TRY(window_check(&rows[i], i, d));
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < i; j++)
			TRY(slots_differ(rows, i, j, d));
		TRY(notify_check(&rows[i], i, d));
	}
	for (uint32_t i = 0; i < n; i++)
		TRY(slot_equal(&rows[i], topology_slot(t, i), i, d));
	return OK;
}

static err_t below(struct diag *d, const char *field, uint32_t i, uint32_t is, uint32_t limit)
{
	if (is < limit)
		return OK;
	return diag_field(d, FAIL(ERR_RANGE), WAKES, field, "row %" PRIu32 " has %" PRIu32
			  ", expected less than %" PRIu32, i, is, limit);
}

static err_t wakes_differ(const struct wake *rows, uint32_t i, uint32_t j, struct diag *d)
{
	const struct wake *a = &rows[i], *b = &rows[j];

	if (a->wake == b->wake)
		return twice(d, WAKES, "wake", i, j, a->wake);
	if (a->resample != WAKE_NO_RESAMPLE && a->resample == b->resample)
		return twice(d, WAKES, "resample", i, j, a->resample);
	if (a->slot.v == b->slot.v)
		return a->queue.v == b->queue.v ? twice(d, WAKES, "queue", i, j, a->queue.v) : OK;
	if (a->gsi.v == b->gsi.v)
		return twice(d, WAKES, "gsi", i, j, a->gsi.v);
	if (a->notify.v == b->notify.v)
		return twice(d, WAKES, "notify", i, j, a->notify.v);
	return OK;
}

static err_t wake_equal(const struct wake *row, const struct wake *plan, uint32_t i, struct diag *d)
{
	TRY(equal(d, WAKES, "slot", i, row->slot.v, plan->slot.v));
	TRY(equal(d, WAKES, "queue", i, row->queue.v, plan->queue.v));
	TRY(equal(d, WAKES, "gsi", i, row->gsi.v, plan->gsi.v));
	TRY(equal(d, WAKES, "notify", i, row->notify.v, plan->notify.v));
	TRY(equal(d, WAKES, "wake", i, row->wake, plan->wake));
	return equal(d, WAKES, "resample", i, row->resample, plan->resample);
}

err_t topology_check_wakes(const struct topology *t, const struct wake *rows, uint32_t n,
			   struct diag *d)
{
	TRY(count_equal(d, WAKES, "wakes", n, topology_wakes(t)));
	for (uint32_t i = 0; i < n; i++) {
		TRY(below(d, "slot", i, rows[i].slot.v, topology_slots(t)));
		TRY(below(d, "queue", i, rows[i].queue.v,
			  topology_slot(t, rows[i].slot.v)->queues));
		TRY(below(d, "wake", i, rows[i].wake, n));
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < i; j++)
			TRY(wakes_differ(rows, i, j, d));
	}
	for (uint32_t i = 0; i < n; i++) {
		struct wake plan = topology_wake(t, i);

		TRY(wake_equal(&rows[i], &plan, i, d));
	}
	return OK;
}
