/* SPDX-License-Identifier: Apache-2.0 */
/* image -> bytes: the same file the other way, for tests: whole machines from plain values, without
 * KVM. */
#pragma once

#include "plan/image.h"

/* What a machine's state is made of, apart from what its geometry says already; arrays have one
 * element per vCPU, device and present block. */
struct image_parts {
	uint8_t machine_id[SNAP_ID_LEN];
	uint64_t generation;
	int64_t created_sec;
	uint32_t created_nsec;
	const struct inventory *inventory;
	const struct machine_note *note;
	const struct vcpu_x86_64 *vcpus;
	const struct irqchip_x86_64 *irqchip;
	const struct clock_x86_64 *clock;
	const struct device_state *devices;
	const struct serial_state *serial;
	const struct ram_map *ram_map;
	const uint64_t *ram_sums; /* crc64 of each present block, lowest first */
};

/* Where RAM begins in the file, which depends on every other size: known before RAM is written. */
must_check err_t image_ram_offset(const struct geometry *g, const struct image_parts *p,
				  struct diag *d, foff_t *ret_at);
/* Everything from the start of the file to the end of the checksums; what lies between that and RAM
 * is zero. *ret_bytes is the caller's to free. What the values say is written,
 * whether image_parse will take it or not. */
must_check err_t image_encode(const struct geometry *g, const struct image_parts *p,
			      struct diag *d, uint8_t **ret_bytes, size_t *ret_len);
