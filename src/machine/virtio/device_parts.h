/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtio device is made of: shared by the files of this folder and by nobody else.
 *
 * Who may touch what:
 *   - under the worker's `lock`: registers, the queues as the driver programs them, parked, and of the
 *     worker holds, stop, busy, confine, confined, refused
 *   - `live` and what the kind keeps for itself: the worker's while `busy`, if the device worked when
 *     that began, else the lock holder's
 *   - written before the device is first let go and never again: the rest
 *
 * A hold keeps the worker out of the queues of all its devices: each that is parked is one, and a
 * reset takes one while it waits for the request in hand. The worker looks at `holds` between two
 * requests, and at all queues again when there are none any more. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/own.h"
#include "machine/virtio/device.h"
#include "machine/virtio/queue.h"

/* What the guest sees of a kind of device, apart from its registers. */
struct virtio_face {
	uint64_t features; /* of the kind: those of the transport are added */
	uint32_t config_len;
	uint8_t config[DEVICE_CONFIG_MAX];
};

/* One row per kind of device, in kinds.c. */
struct virtio_kind {
	enum dev_kind kind;
	bool brisk; /* no request waits for a file: it may share another's worker */
	/* Answers one request: false when it leaves no room for an answer, and the queue is broken.
	 * *ret_written: bytes filled, counted from the first buffer to write. */
	bool (*serve)(void *own, const struct gmem *m, const struct chain *c,
		      uint32_t *ret_written, const char **ret_fault);
	void (*free)(void *own); /* NULL: it keeps nothing */
};
const struct virtio_kind *virtio_kind_of(enum dev_kind kind);

enum { WORKER_DEVICES = 2 };

/* The thread that does devices' I/O. It goes with the first of them, this with the last. */
struct virtio_worker {
	pthread_mutex_t lock;
	pthread_cond_t turn; /* busy, holds, stop, confine or confined changed */
	bool busy, stop;
	bool confine, confined; /* it is to take its filter; has tried to, with this result: */
	err_t refused;
	atomic_uint holds;
	uint32_t n, left; /* devices, those that were not freed */
	struct virtio_dev *dev[WORKER_DEVICES];
	pthread_t thread;
	char name[16];   /* the thread's */
	bool has_thread;
	fd_t control;    /* ends its wait for doorbells */
};

struct virtio_dev {
	const struct virtio_kind *kind;
	void *own; /* the kind's; NULL: empty, or it keeps nothing */
	struct topo_slot slot;
	struct virtio_wires wires;
	struct virtio_face face;

	struct virtio_worker *worker; /* shared with its other devices */
	struct transport_state regs;
	struct queue_state queues[SHAPE_QUEUES_MAX]; /* positions are those of `live` */
	const char *fault;
	bool parked;

	struct virtq live[SHAPE_QUEUES_MAX]; /* size 0: not in use */
	atomic_uint in_flight;
};

/* device.c */

/* Makes the empty device one of its kind: after power-on, or as it was saved unless `saved` is NULL.
 * `own` is taken on success. */
must_check err_t virtio_become(struct virtio_dev *empty, const struct virtio_face *face, void *own,
			       const struct device_state *saved, struct diag *d);

/* save.c */

/* The registers and queues of a saved device. */
must_check err_t virtio_load(struct virtio_dev *v, const struct device_state *saved,
			     struct diag *d);

/* blk.c: the disk in a device of kind DEV_BLK */
struct disk *blk_disk(void *own);

/* transport.c: with the lock held */

/* Are the queues in use? */
static inline bool virtio_works(const struct virtio_dev *v)
{
	/* DRIVER_OK, and neither FAILED nor DEVICE_NEEDS_RESET. */
	return v->regs.status == 15;
}

void virtio_reset(struct virtio_dev *v);
/* What the driver sees first: nothing negotiated, nothing programmed. */
void virtio_registers_clear(struct virtio_dev *v);
/* 2.1.2. */
void virtio_needs_reset(struct virtio_dev *v, const char *why);
void virtio_interrupt(struct virtio_dev *v, uint32_t bit);
struct virtq_rings virtio_rings(const struct virtio_dev *v, const struct queue_state *q);
/* Makes queue i live from its registers and positions, if it is ready. */
void virtio_queue_open(struct virtio_dev *v, uint32_t i);

/* worker.c */

void *virtio_worker_main(void *worker);
void virtio_doorbell(const struct virtio_dev *v, uint32_t queue);
