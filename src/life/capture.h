/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of a machine but its RAM, as the encoded sections of a snapshot. Inside life/ only. */
#pragma once

#include "life/ram_scan.h"
#include "life/vm_internal.h"
#include "wire/snap_table.h"

struct capture {
	uint32_t n;
	struct snap_row rows[SNAP_ROWS_MAX]; /* without offsets yet */
	uint8_t *bytes[SNAP_ROWS_MAX];       /* owned; NULL for RAM, and for its checksums at first */
};

/* `arch` is what arch_save read since the machine was paused: by then the devices were drained, so
 * what they raised is in the chips that were read. `copies` NULL: the disks live on in memory
 * (disk_share). */
struct arch_state;
struct disk_copies;
must_check err_t capture_make(struct vm *vm, struct quiesced q, const struct arch_state *arch,
			      const struct ram_scan *ram, const struct disk_copies *copies,
			      struct diag *d, struct capture *ret);
/* Once all blocks were written. ERR_RAM_LOST when some were not found again. */
must_check err_t capture_sums(const struct ram_scan *ram, struct diag *d, struct capture *io);
/* Offsets into the rows; what of the file comes before the RAM checksums, as one piece; and how long
 * the file would be. */
struct capture_front {
	uint8_t *bytes; /* owned */
	size_t len;
	bytes_t total;
};
must_check err_t capture_assemble(const struct geometry *g, struct snap_head head,
				  struct capture *io, struct diag *d, struct capture_front *ret);
/* The topology section of a machine. */
void topology_encode(struct out *o, const struct topology *t);
/* Adds a section that is already encoded; the bytes are taken on success. */
must_check err_t capture_add(struct capture *io, struct snap_row_id id, const struct out *bytes,
			     struct diag *d);
struct snap_head capture_head(const struct vm *vm, const struct capture *c, bytes_t total);
void capture_drop(struct capture *c);
