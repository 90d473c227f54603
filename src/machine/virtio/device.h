/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio-mmio device as the machine sees it (virtio 1.2, 4.2): registers for the vCPUs, an
 * interrupt and doorbells as eventfds, and a worker thread that does its I/O.
 *
 *   virtio_new                  a slot with its wires            parked, empty
 *   blk_new / rng_new           empty -> a device after power-on parked
 *   blk_restore / rng_restore   empty -> as it was saved         parked
 *   virtio_unquiesce            parked -> working
 *   virtio_quiesce              working -> parked, with the witness that it is
 *   virtio_save                 parked only
 *
 * A parked device takes nothing from its queues and touches neither guest memory nor its disk;
 * doorbells that ring meanwhile are not lost. So a machine makes its devices, and then unquiesces
 * each of them before its first vCPU runs, on a cold boot as after a restore.
 *
 * Nothing the guest does ends the monitor: a queue that breaks the rules stops the device, which
 * says so with DEVICE_NEEDS_RESET (2.1.2) and works again once the driver has reset it. */
#pragma once

#include "machine/disk/disk.h"
#include "machine/irq/irq_line.h"
#include "machine/ram/gmem.h"
#include "plan/topology.h"

struct virtio_dev;

/* The device's connections. All borrowed: they outlive the device. */
struct virtio_wires {
	const struct gmem *mem;
	struct irq_line irq;
	/* One eventfd per queue of the slot, non-blocking. machine/irq has KVM signal it when the
	 * guest writes the queue's number to QueueNotify. */
	int notify[SHAPE_QUEUES_MAX];
};

/* What the device is comes with one of the four behind, once, while it is parked. */
/* `beside`, or NULL: a device whose worker may serve this one too, where no request of this kind waits
 * for a file. Both are then freed together. */
must_check err_t virtio_new(const struct topo_slot *slot, const struct virtio_wires *w,
			    const struct virtio_dev *beside, struct virtio_dev **ret_dev);
/* Its worker, now: for a process that can start no thread later, or has the time. It is started
 * anyway once there is a driver: with the state that was saved, or when the guest says so; in the
 * latter case a failure is the guest's to see, as DEVICE_NEEDS_RESET. */
must_check err_t virtio_start(struct virtio_dev *v, struct diag *d);

/* A block device takes the disk: on success *io_disk becomes NULL, on failure it stays, and the
 * device is empty as before. */
must_check err_t blk_new(struct virtio_dev *empty, struct disk **io_disk);
must_check err_t rng_new(struct virtio_dev *empty);

/* From saved state, after the guest's RAM is in place. ERR_DEVICE with the field in *d for a state
 * that this device could not have been in: features never offered, rings misaligned or outside RAM,
 * more requests waiting than the queue holds, another configuration space. */
must_check err_t blk_restore(struct virtio_dev *empty, struct blk_view saved,
			     struct disk **io_disk, struct diag *d);
must_check err_t rng_restore(struct virtio_dev *empty, struct rng_view saved, struct diag *d);

/* Waits for the request in hand, stops the worker, frees the disk. Accepts NULL. */
void virtio_free(struct virtio_dev *v);

const struct topo_slot *virtio_slot(const struct virtio_dev *v);
/* NULL for a device that is no disk. */
const struct disk *virtio_disk(const struct virtio_dev *v);
/* Why the device wants to be reset, as a phrase; NULL when it does not. Any thread. */
const char *virtio_fault(struct virtio_dev *v);

/* Exits in the device's window, offset from its start; any vCPU's thread, the worker beside it. A
 * write of 0 to Status returns when nothing is in flight any more. Not while the device is
 * parked. */
void virtio_mmio_read(struct virtio_dev *v, uint64_t offset, void *ret_bytes, uint32_t len);
void virtio_mmio_write(struct virtio_dev *v, uint64_t offset, const void *bytes, uint32_t len);

/* The witness that a device is parked: made by virtio_quiesce alone, which returns at once for a
 * device that nobody has let go yet. Gone once it is given to virtio_unquiesce. */
struct virtio_parked { struct virtio_dev *dev; };

/* Returns when the worker is parked between two requests: what it had taken is completed, what is
 * still in the available ring stays there. *ret_in_flight (may be NULL) is the number of requests
 * that were taken and not completed at the time of the call. The vCPUs have stopped by then, or the
 * driver may wait for a reset that needs the worker; parking a parked device is allowed. */
must_check struct virtio_parked virtio_quiesce(struct virtio_dev *v, uint32_t *ret_in_flight);
/* Looks at every queue once, and raises the interrupt again if the driver has not acknowledged it:
 * an edge or a doorbell may have been lost on the way through a snapshot. */
void virtio_unquiesce(struct virtio_parked p);

/* The disk, which nobody uses while the device is parked; NULL for a device that is none. */
struct disk *virtio_parked_disk(struct virtio_parked p);

/* Has the worker, which was started, take the filter of its kind (machine/jail/filter.h). From then
 * on it cannot end but with its process: the device is not freed. */
must_check err_t virtio_confine(struct virtio_parked p, struct diag *d);

/* What the driver put into the rings and the device has not taken: for tests and --timings. */
uint32_t virtio_waiting(struct virtio_parked p);

/* Where copies of the disks go; NULL in virtio_save: nowhere, the state refers to files in place. */
struct disk_store {
	bool shared;      /* nowhere either: disk_share keeps what the state does not describe */
	int file;         /* borrowed: new and empty */
	const char *name; /* that it will have in the snapshot's folder */
};

/* Fills *ret (device_state_clear). A disk is made durable first, and its files are described; with
 * `store` writable disks and layers are copied as disk_store_as says. ERR_STATE without `store` for
 * a disk that needs storing (disk_needs_storing). */
must_check err_t virtio_save(struct virtio_parked p, const struct disk_store *store,
			     struct diag *d, struct device_state *ret);
