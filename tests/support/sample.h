/* SPDX-License-Identifier: Apache-2.0 */
/* Whole machines made up out of a seed: every field holds a value that the format allows, different
 * from its neighbours', so that two fields swapped or one forgotten cannot go unseen. */
#pragma once

#include "support/image_encode.h"

enum { SAMPLE_KINDS = 4 };

struct sample {
	const struct geometry *geometry;
	struct image_parts parts;
	/* What parts points to. */
	struct inventory inventory;
	struct machine_note note;
	struct vcpu_x86_64 *vcpus;
	struct irqchip_x86_64 irqchip;
	struct clock_x86_64 clock;
	struct device_state *devices;
	struct serial_state serial;
	struct ram_map ram_map;
	uint8_t *ram_bits;
	uint64_t *ram_sums;
};

/* 0: one vCPU, a disk and the entropy device, 16 MiB. 1: four vCPUs and disks of every mode.
 * 2: no device at all. 3: RAM on both sides of the hole. NULL: `kind` is none of these. */
struct sample *sample_new(unsigned kind, uint64_t seed);
void sample_free(struct sample *s);

/* Block `index` of its RAM, when present. */
void sample_block(uint64_t index, uint8_t ret[RAM_BLOCK]);
bool sample_has_block(const struct sample *s, uint64_t index);
/* The whole file, with holes for absent blocks. */
err_t sample_write(const struct sample *s, const char *path, struct diag *d);
