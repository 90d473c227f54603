/* SPDX-License-Identifier: Apache-2.0 */
/* A device's saved state as plain values: the virtio-mmio transport, its queues, and what each
 * kind adds. wire/sect_device.c reads and writes it; machine/virtio makes and consumes it.
 * Whether it agrees with the topology is judged by plan/ before a device sees it. */
#pragma once

#include "wire/shape.h"

enum { DEVICE_CONFIG_MAX = 256, DEVICE_PATH_MAX = 4096 };

/* Virtio 1.2, 4.2.2: the registers that hold state. */
struct transport_state {
	uint32_t device_features_sel, driver_features_sel, queue_sel;
	uint64_t acked_features;
	uint32_t status;
	uint32_t interrupt_status;
	uint32_t config_generation;
};

struct queue_state {
	uint16_t max_size, size;
	bool ready;
	gpa_t desc, driver, device;
	uint16_t next_avail; /* next entry of the available ring that the device will take */
	uint16_t next_used;  /* the device's copy of used.idx */
};

/* Virtio 1.2, 2.7: bytes of the three parts of a split ring, without the optional event fields. */
#define QUEUE_DESC_LEN(size)   (UINT64_C(16) * (size))
#define QUEUE_DRIVER_LEN(size) (4 + UINT64_C(2) * (size))
#define QUEUE_DEVICE_LEN(size) (4 + UINT64_C(8) * (size))

enum disk_mode { DISK_RO = 1, DISK_RW = 2, DISK_COW = 3 };
must_check err_t disk_mode_parse(uint32_t raw, enum disk_mode *ret_mode);

/* Where a disk's bytes are. `base` is the file that was named by the user, or the stored copy;
 * `layer` is a stored copy-on-write layer over it (DISK_COW only; "" when there is none). */
struct disk_file {
	char path[DEVICE_PATH_MAX]; /* "" when absent; stored copies: relative to the snapshot file */
	bool stored;                /* a copy that belongs to the snapshot: compared by size alone */
	uint64_t dev, ino, size;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
};

struct blk_state {
	enum disk_mode mode;
	bytes_t capacity;          /* whole sectors of 512 bytes */
	struct disk_file base, layer;
	uint32_t layer_cluster;    /* bytes per bit of the layer's map, 0 without a layer */
	uint32_t layer_map_len;    /* bytes; follows from capacity and cluster */
	uint8_t *layer_map;        /* which clusters the layer holds; owned, NULL without a layer */
};

struct device_state {
	enum dev_kind kind;
	struct transport_state transport;
	uint32_t n_queues;
	struct queue_state queues[SHAPE_QUEUES_MAX];
	uint32_t config_len;
	uint8_t config[DEVICE_CONFIG_MAX]; /* the configuration space as the guest sees it */
	struct blk_state blk;              /* DEV_BLK only */
};

void device_state_clear(struct device_state *d); /* frees what it owns; accepts a zeroed one */

/* A view of the right kind, given only after the kind was checked: functions that need a disk's
 * state take one of these, so a device of another kind cannot be passed. NULL: another kind. */
struct blk_view { const struct device_state *dev; };
struct rng_view { const struct device_state *dev; };
must_check bool device_as_blk(const struct device_state *d, struct blk_view *ret_view);
must_check bool device_as_rng(const struct device_state *d, struct rng_view *ret_view);

/* A 16550A (TI/NS data sheet): registers and the receive FIFO. */
enum { SERIAL_FIFO = 16 };
struct serial_state {
	uint8_t ier, iir, fcr, lcr, lsr, mcr, msr, scr, dll, dlm;
	uint8_t thre_pending;
	uint8_t rx_len;
	uint8_t rx[SERIAL_FIFO];
};
