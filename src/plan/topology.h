/* SPDX-License-Identifier: Apache-2.0 */
/* shape -> topology: which devices a machine has and where each one's window, interrupt and
 * wake-ups are.
 *
 * A `const struct topology *` in hand is the proof that the shape was judged. There is one maker;
 * a configuration, a restore and a worker all go through it. Immutable, freed with
 * topology_free. */
#pragma once

#include "wire/shape.h"

struct topology;

struct topo_slot {
	enum dev_kind kind;
	uint32_t queues;
	slot_id slot;
	gsi_t gsi;
	gpa_t mmio;           /* the register window */
	bytes_t mmio_len;
	gpa_t notify;         /* the QueueNotify register; the queue index is the datamatch */
	uint32_t first_wake;  /* wake index of queue 0; the others follow */
};

/* One row of the wake map: a guest's write of `queue` to `notify` wakes `wake`; the device answers
 * on `gsi`. Edge interrupts have no resample index. */
enum { WAKE_NO_RESAMPLE = UINT32_MAX };
struct wake {
	slot_id slot;
	queue_id queue;
	gsi_t gsi;
	gpa_t notify;
	uint32_t wake;
	uint32_t resample;
};

/* ERR_TOPOLOGY with the field in *d when the shape cannot exist, ERR_ARCH when this build is for
 * another architecture. How much RAM there may be is judged by geometry_plan. */
must_check err_t topology_plan(const struct shape *in, struct diag *d,
			       const struct topology **ret_top);
void topology_free(const struct topology *t);

const struct shape *topology_shape(const struct topology *t);
uint32_t topology_slots(const struct topology *t);
uint32_t topology_disks(const struct topology *t);
const struct topo_slot *topology_slot(const struct topology *t, uint32_t i);

/* The wake map, one row per queue in wake order: a worker is handed exactly this. */
uint32_t topology_wakes(const struct topology *t);
struct wake topology_wake(const struct topology *t, uint32_t wake);

/* Judges rows that came from somewhere else (a file, a supervisor), each fault by its field in
 * section "topology" or "wakes":
 *
 *   ERR_LAYOUT     another number of rows (field "devices" or "wakes"); any difference from what
 *                  topology_plan makes of the same shape
 *   ERR_TOPOLOGY   a kind that does not exist, a queue count that the kind does not allow, empty,
 *                  wrapping or overlapping windows, a notify address outside its window
 *   ERR_RANGE      a wake row's slot, queue or wake index that is out of range
 *   ERR_DUPLICATE  slots, GSIs, notify addresses, wake indexes, queues, resample indexes */
must_check err_t topology_check_slots(const struct topology *t, const struct topo_slot *rows,
				      uint32_t n, struct diag *d);
must_check err_t topology_check_wakes(const struct topology *t, const struct wake *rows,
				      uint32_t n, struct diag *d);
