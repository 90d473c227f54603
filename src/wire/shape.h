/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a machine as loose numbers: what a configuration asks for and what a snapshot's
 * topology section says. It proves nothing; plan/topology.h makes the value that does. */
#pragma once

#include "base/diag.h"
#include "base/units.h"

/* Architectures, by their number in the file. */
enum arch {
	ARCH_X86_64 = 1,
	ARCH_AARCH64 = 2,
};

/* The only way from a number to an architecture: ERR_ARCH for an unknown one. */
must_check err_t arch_parse(uint32_t raw, enum arch *ret_arch);

/* X(name, id, word, fewest queues, most queues). The id is the virtio device id; it is in the
 * file, so only append. Queue counts are part of the device's ABI. */
#define DEV_KINDS(X) \
	X(BLK, 2, "blk", 1, 8) \
	X(RNG, 4, "rng", 1, 1)

enum dev_kind {
#define X(name, id, word, least, most) DEV_##name = (id),
	DEV_KINDS(X)
#undef X
};

enum { SHAPE_VCPUS_MAX = 64, SHAPE_DEVICES_MAX = 19, SHAPE_QUEUES_MAX = 8 };

struct dev_shape {
	enum dev_kind kind;
	uint32_t queues;
};

struct shape {
	enum arch arch;
	uint32_t vcpus;
	bytes_t ram;
	uint32_t n_devices;
	struct dev_shape devices[SHAPE_DEVICES_MAX]; /* in virtio-mmio slot order */
};

/* The only way from a number to a kind: ERR_RANGE for one that does not exist. */
must_check err_t dev_kind_parse(uint32_t raw, enum dev_kind *ret_kind);
const char *dev_kind_word(enum dev_kind k);
uint32_t dev_kind_queues_min(enum dev_kind k);
uint32_t dev_kind_queues_max(enum dev_kind k);
