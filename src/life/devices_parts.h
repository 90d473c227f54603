/* SPDX-License-Identifier: Apache-2.0 */
/* What the devices of a machine are made of: shared by devices.c and devices_fill.c alone. */
#pragma once

#include "base/own.h"
#include "life/devices.h"
#include "machine/serial/serial.h"
#include "machine/virtio/device.h"

enum { WAKES_MAX = SHAPE_DEVICES_MAX * SHAPE_QUEUES_MAX };

struct devices {
	struct devices_wires wires;
	uint32_t n;
	struct virtio_dev *dev[SHAPE_DEVICES_MAX];
	struct virtio_parked parked[SHAPE_DEVICES_MAX]; /* while held */
	struct serial *serial;
	bool held, generation_due;
	fd_t irq[SHAPE_DEVICES_MAX], serial_irq;
	fd_t wake[WAKES_MAX];
	uint32_t n_wakes;
};

struct serial_wires devices_serial_wires(const struct devices *v);
