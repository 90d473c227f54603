/* SPDX-License-Identifier: Apache-2.0 */
/* Topologies: windows, interrupts and wake maps by hand, and each kind of nonsense by its field. */
#include "plan/topology.h"

#include <string.h>

#include "unit/plan/shapes.h"

/* Three devices with 1, 8 and 1 queues. */
static struct shape mixed(void)
{
	struct shape s = shape_of(2, MIB(128), 3);

	s.devices[1].queues = 8;
	return s;
}

static void windows_by_hand(void **state)
{
	struct shape s = mixed();
	const struct topology *t = topology_of(&s);
	const struct topo_slot *slot = topology_slot(t, 1);

	(void)state;
	assert_int_equal(topology_slots(t), 3);
	assert_int_equal(slot->kind, DEV_BLK);
	assert_int_equal(slot->queues, 8);
	assert_int_equal(slot->slot.v, 1);
	assert_int_equal(slot->gsi.v, 6);
	assert_int_equal(slot->mmio.v, 0xC0002000);
	assert_int_equal(slot->mmio_len.v, 0x1000);
	assert_int_equal(slot->notify.v, 0xC0002050);
	assert_int_equal(slot->first_wake, 1);
	assert_int_equal(topology_slot(t, 0)->mmio.v, 0xC0001000);
	assert_int_equal(topology_slot(t, 0)->gsi.v, 5);
	assert_int_equal(topology_slot(t, 2)->kind, DEV_RNG);
	assert_int_equal(topology_slot(t, 2)->first_wake, 9);
	topology_free(t);
}

static void last_slot_by_hand(void **state)
{
	struct shape s = shape_of(64, MIB(16), 19);
	const struct topology *t = topology_of(&s);

	(void)state;
	assert_int_equal(topology_slots(t), 19);
	assert_int_equal(topology_slot(t, 18)->mmio.v, 0xC0013000);
	assert_int_equal(topology_slot(t, 18)->gsi.v, 23);
	assert_int_equal(topology_wakes(t), 19);
	topology_free(t);
}

static void wakes_by_hand(void **state)
{
	struct shape s = mixed();
	const struct topology *t = topology_of(&s);
	struct wake w;

	(void)state;
	assert_int_equal(topology_wakes(t), 10);
	w = topology_wake(t, 0);
	assert_int_equal(w.slot.v, 0);
	assert_int_equal(w.queue.v, 0);
	w = topology_wake(t, 8);
	assert_int_equal(w.slot.v, 1);
	assert_int_equal(w.queue.v, 7);
	assert_int_equal(w.gsi.v, 6);
	assert_int_equal(w.notify.v, 0xC0002050);
	assert_int_equal(w.wake, 8);
	assert_int_equal(w.resample, WAKE_NO_RESAMPLE);
	w = topology_wake(t, 9);
	assert_int_equal(w.slot.v, 2);
	assert_int_equal(w.queue.v, 0);
	assert_int_equal(w.gsi.v, 7);
	topology_free(t);
}

static void largest_wake_map(void **state)
{
	struct shape s = shape_of(1, MIB(16), 19);
	const struct topology *t;

	(void)state;
	for (uint32_t i = 0; i < 19; i++)
		s.devices[i] = (struct dev_shape){ DEV_BLK, 8 };
	t = topology_of(&s);
	assert_int_equal(topology_wakes(t), 152);
	assert_int_equal(topology_wake(t, 151).slot.v, 18);
	assert_int_equal(topology_wake(t, 151).queue.v, 7);
	topology_free(t);
}

static void no_devices(void **state)
{
	struct shape s = shape_of(1, MIB(16), 0);
	const struct topology *t = topology_of(&s);
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(topology_slots(t), 0);
	assert_int_equal(topology_wakes(t), 0);
	assert_int_equal(topology_check_slots(t, NULL, 0, &d).code, ERR_NONE);
	assert_int_equal(topology_check_wakes(t, NULL, 0, &d).code, ERR_NONE);
	topology_free(t);
}

static void shape_is_copied(void **state)
{
	struct shape s = mixed(), unused = mixed();
	const struct topology *t;

	(void)state;
	/* what lies behind the last device is not part of the shape */
	memset(&s.devices[3], 0xA5, sizeof s.devices - 3 * sizeof s.devices[0]);
	t = topology_of(&s);
	memset(&s, 0, sizeof s);
	assert_memory_equal(topology_shape(t)->devices, unused.devices, sizeof unused.devices);
	assert_int_equal(topology_shape(t)->arch, ARCH_X86_64);
	assert_int_equal(topology_shape(t)->vcpus, 2);
	assert_int_equal(topology_shape(t)->ram.v, MIB(128));
	assert_int_equal(topology_shape(t)->n_devices, 3);
	topology_free(t);
}

static void shape_refused(struct shape s, enum err_code code, const char *field)
{
	const struct topology *t = NULL;
	struct diag d = DIAG_INIT;

	assert_refused(topology_plan(&s, &d, &t), code, &d, field);
	assert_string_equal(d.section, "topology");
	assert_null(t);
}

static void shapes_that_cannot_exist(void **state)
{
	struct shape s;

	(void)state;
	s = mixed(); s.arch = ARCH_AARCH64;
	shape_refused(s, ERR_ARCH, "arch");
	s = mixed(); s.vcpus = 0;
	shape_refused(s, ERR_TOPOLOGY, "vcpus");
	s = mixed(); s.vcpus = 65;
	shape_refused(s, ERR_TOPOLOGY, "vcpus");
	s = mixed(); s.n_devices = 20;
	shape_refused(s, ERR_TOPOLOGY, "devices");
	s = mixed(); s.n_devices = UINT32_MAX;
	shape_refused(s, ERR_TOPOLOGY, "devices");
	s = mixed(); s.devices[1].kind = (enum dev_kind)99;
	shape_refused(s, ERR_TOPOLOGY, "kind");
	s = mixed(); s.devices[1].kind = (enum dev_kind)0;
	shape_refused(s, ERR_TOPOLOGY, "kind");
	s = mixed(); s.devices[0].queues = 0;
	shape_refused(s, ERR_TOPOLOGY, "queues");
	s = mixed(); s.devices[0].queues = 9;
	shape_refused(s, ERR_TOPOLOGY, "queues");
	s = mixed(); s.devices[2].queues = 2; /* entropy has exactly one */
	shape_refused(s, ERR_TOPOLOGY, "queues");
}

enum { SLOTS = 3, WAKES = 10 };

struct given {
	const struct topology *t;
	struct topo_slot slots[SLOTS];
	struct wake wakes[WAKES];
};

/* The rows that a file or a supervisor would hand over, correct so far. */
static struct given rows_given(void)
{
	struct shape s = mixed();
	struct given g = { .t = topology_of(&s) };

	for (uint32_t i = 0; i < SLOTS; i++)
		g.slots[i] = *topology_slot(g.t, i);
	for (uint32_t i = 0; i < WAKES; i++)
		g.wakes[i] = topology_wake(g.t, i);
	return g;
}

static void own_rows_are_accepted(void **state)
{
	struct given g = rows_given();
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(topology_check_slots(g.t, g.slots, SLOTS, &d).code, ERR_NONE);
	assert_int_equal(topology_check_wakes(g.t, g.wakes, WAKES, &d).code, ERR_NONE);
	assert_string_equal(d.text, "");
	topology_free(g.t);
}

static void slots_refused(struct given g, uint32_t n, enum err_code code, const char *field)
{
	struct diag d = DIAG_INIT;

	assert_refused(topology_check_slots(g.t, g.slots, n, &d), code, &d, field);
	assert_string_equal(d.section, "topology");
	topology_free(g.t);
}

static void slot_rows_that_break_a_rule(void **state)
{
	struct given g;

	(void)state;
	slots_refused(rows_given(), 2, ERR_LAYOUT, "devices");
	slots_refused(rows_given(), UINT32_MAX, ERR_LAYOUT, "devices");
	g = rows_given(); g.slots[1].kind = (enum dev_kind)77;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "kind");
	g = rows_given(); g.slots[1].queues = 0;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "queues");
	g = rows_given(); g.slots[1].queues = UINT32_MAX;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "queues");
	g = rows_given(); g.slots[2].queues = 2;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "queues");
	g = rows_given(); g.slots[2].slot.v = 0;
	slots_refused(g, SLOTS, ERR_DUPLICATE, "slot");
	g = rows_given(); g.slots[2].gsi.v = 6;
	slots_refused(g, SLOTS, ERR_DUPLICATE, "gsi");
	g = rows_given(); g.slots[2].notify = g.slots[1].notify;
	slots_refused(g, SLOTS, ERR_DUPLICATE, "notify");
	g = rows_given(); g.slots[2].first_wake = 8;
	slots_refused(g, SLOTS, ERR_DUPLICATE, "first_wake");
	g = rows_given(); g.slots[1].first_wake = 0;
	slots_refused(g, SLOTS, ERR_DUPLICATE, "first_wake");
	g = rows_given(); g.slots[2].mmio.v -= 1;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "mmio");
	g = rows_given(); g.slots[1].mmio_len.v += 1;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "mmio");
	g = rows_given(); g.slots[1].mmio_len.v = 0;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "mmio_len");
	g = rows_given(); g.slots[1].mmio_len.v = UINT64_MAX;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "mmio_len");
	g = rows_given(); g.slots[2].notify.v = 0xC0004000;
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "notify");
	g = rows_given(); g.slots[2].notify.v = 0xC0003FFD; /* four bytes do not fit */
	slots_refused(g, SLOTS, ERR_TOPOLOGY, "notify");
}

static void slot_rows_that_differ_from_the_plan(void **state)
{
	struct given g;

	(void)state;
	g = rows_given(); g.slots[0].kind = DEV_RNG;
	slots_refused(g, SLOTS, ERR_LAYOUT, "kind");
	g = rows_given(); g.slots[1].queues = 7;
	slots_refused(g, SLOTS, ERR_LAYOUT, "queues");
	g = rows_given(); g.slots[2].slot.v = 3;
	slots_refused(g, SLOTS, ERR_LAYOUT, "slot");
	g = rows_given(); g.slots[2].gsi.v = 4;
	slots_refused(g, SLOTS, ERR_LAYOUT, "gsi");
	g = rows_given(); g.slots[2].mmio.v += 16;
	slots_refused(g, SLOTS, ERR_LAYOUT, "mmio");
	g = rows_given(); g.slots[2].mmio_len.v *= 2;
	slots_refused(g, SLOTS, ERR_LAYOUT, "mmio_len");
	g = rows_given(); g.slots[2].notify.v += 4;
	slots_refused(g, SLOTS, ERR_LAYOUT, "notify");
	g = rows_given(); g.slots[2].first_wake = 10;
	slots_refused(g, SLOTS, ERR_LAYOUT, "first_wake");
	/* every rule is kept, the order is another */
	g = rows_given();
	struct topo_slot first = g.slots[0];
	g.slots[0] = g.slots[1];
	g.slots[1] = first;
	slots_refused(g, SLOTS, ERR_LAYOUT, "queues");
}

static void wakes_refused(struct given g, uint32_t n, enum err_code code, const char *field)
{
	struct diag d = DIAG_INIT;

	assert_refused(topology_check_wakes(g.t, g.wakes, n, &d), code, &d, field);
	assert_string_equal(d.section, "wakes");
	topology_free(g.t);
}

static void wake_rows_that_break_a_rule(void **state)
{
	struct given g;

	(void)state;
	wakes_refused(rows_given(), 9, ERR_LAYOUT, "wakes");
	wakes_refused(rows_given(), UINT32_MAX, ERR_LAYOUT, "wakes");
	g = rows_given(); g.wakes[4].slot.v = 3;
	wakes_refused(g, WAKES, ERR_RANGE, "slot");
	g = rows_given(); g.wakes[4].queue.v = 8;
	wakes_refused(g, WAKES, ERR_RANGE, "queue");
	g = rows_given(); g.wakes[0].queue.v = 1; /* a disk with one queue */
	wakes_refused(g, WAKES, ERR_RANGE, "queue");
	g = rows_given(); g.wakes[4].wake = 10; /* so index 4 is missing */
	wakes_refused(g, WAKES, ERR_RANGE, "wake");
	g = rows_given(); g.wakes[4].wake = 3;
	wakes_refused(g, WAKES, ERR_DUPLICATE, "wake");
	g = rows_given(); g.wakes[4].queue.v = 2;
	wakes_refused(g, WAKES, ERR_DUPLICATE, "queue");
	g = rows_given(); g.wakes[9].gsi.v = 6;
	wakes_refused(g, WAKES, ERR_DUPLICATE, "gsi");
	g = rows_given(); g.wakes[9].notify.v = 0xC0001050;
	wakes_refused(g, WAKES, ERR_DUPLICATE, "notify");
	g = rows_given(); g.wakes[1].resample = g.wakes[2].resample = 5;
	wakes_refused(g, WAKES, ERR_DUPLICATE, "resample");
}

static void wake_rows_that_differ_from_the_plan(void **state)
{
	struct given g;

	(void)state;
	g = rows_given(); g.wakes[0].gsi.v = 4;
	wakes_refused(g, WAKES, ERR_LAYOUT, "gsi");
	g = rows_given(); g.wakes[3].notify.v += 4;
	wakes_refused(g, WAKES, ERR_LAYOUT, "notify");
	g = rows_given(); g.wakes[3].resample = 0;
	wakes_refused(g, WAKES, ERR_LAYOUT, "resample");
	g = rows_given(); g.wakes[3].wake = 4; g.wakes[4].wake = 3;
	wakes_refused(g, WAKES, ERR_LAYOUT, "wake");
	g = rows_given(); g.wakes[3].queue.v = 3; g.wakes[4].queue.v = 2;
	wakes_refused(g, WAKES, ERR_LAYOUT, "queue");
	g = rows_given(); g.wakes[0].slot.v = 2; g.wakes[9].slot.v = 0;
	wakes_refused(g, WAKES, ERR_LAYOUT, "slot");
}

/* No bit of a row can change unseen: the padding of the structs is not compared, their fields
 * are. */
static void no_bit_may_differ(void **state)
{
	struct given g = rows_given();

	(void)state;
	for (unsigned bit = 0; bit < 8 * sizeof(uint64_t); bit++) {
		struct topo_slot *s = &g.slots[1], was_s = *s;
		struct wake *w = &g.wakes[5], was_w = *w;
		uint64_t *wide[] = { &s->mmio.v, &s->mmio_len.v, &s->notify.v };
		uint32_t *narrow[] = { &s->queues, &s->slot.v, &s->gsi.v, &s->first_wake };
		uint32_t *of_wake[] = { &w->slot.v, &w->queue.v, &w->gsi.v, &w->wake, &w->resample };

		for (size_t i = 0; i < countof(wide); i++) {
			*wide[i] ^= UINT64_C(1) << bit;
			assert_true(failed(topology_check_slots(g.t, g.slots, SLOTS, NULL)));
			*s = was_s;
		}
		w->notify.v ^= UINT64_C(1) << bit;
		assert_true(failed(topology_check_wakes(g.t, g.wakes, WAKES, NULL)));
		*w = was_w;
		for (size_t i = 0; bit < 32 && i < countof(narrow); i++) {
			*narrow[i] ^= UINT32_C(1) << bit;
			assert_true(failed(topology_check_slots(g.t, g.slots, SLOTS, NULL)));
			*s = was_s;
		}
		for (size_t i = 0; bit < 32 && i < countof(of_wake); i++) {
			*of_wake[i] ^= UINT32_C(1) << bit;
			assert_true(failed(topology_check_wakes(g.t, g.wakes, WAKES, NULL)));
			*w = was_w;
		}
	}
	topology_free(g.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_by_hand),
		cmocka_unit_test(last_slot_by_hand),
		cmocka_unit_test(wakes_by_hand),
		cmocka_unit_test(largest_wake_map),
		cmocka_unit_test(no_devices),
		cmocka_unit_test(shape_is_copied),
		cmocka_unit_test(shapes_that_cannot_exist),
		cmocka_unit_test(own_rows_are_accepted),
		cmocka_unit_test(slot_rows_that_break_a_rule),
		cmocka_unit_test(slot_rows_that_differ_from_the_plan),
		cmocka_unit_test(wake_rows_that_break_a_rule),
		cmocka_unit_test(wake_rows_that_differ_from_the_plan),
		cmocka_unit_test(no_bit_may_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
