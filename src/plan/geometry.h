/* SPDX-License-Identifier: Apache-2.0 */
/* topology -> geometry: where everything is in guest-physical space, and, given the sizes of the
 * sections, where everything is in a snapshot file. Checked arithmetic only; the one canonical
 * answer, which a loader recomputes and compares. */
#pragma once

#include "plan/topology.h"
#include "wire/snap_table.h"

enum { RAM_BLOCK = 65536, RAM_REGIONS_MAX = 2 };
#define FILE_PAGE       4096u
#define FILE_SECT_ALIGN 64u
#define FILE_RAM_ALIGN  MIB(2)

struct geometry;

/* A contiguous piece of RAM, one KVM memory slot each. */
struct ram_region {
	gpa_t at;
	bytes_t len;
	bytes_t offset;     /* from the start of RAM, in the memfd and in the file alike */
	uint32_t kvm_slot;
};

/* ERR_RANGE (section "geometry", field "ram") when the architecture's map cannot hold that RAM or
 * it is not whole blocks. */
must_check err_t geometry_plan(const struct topology *in, struct diag *d,
			       const struct geometry **ret_geo);
void geometry_free(const struct geometry *g);

/* The topology it was made from; lives as long as the geometry (which holds a copy). */
const struct topology *geometry_topology(const struct geometry *g);
bytes_t geometry_ram(const struct geometry *g);
uint64_t geometry_ram_blocks(const struct geometry *g);
uint32_t geometry_ram_regions(const struct geometry *g);
struct ram_region geometry_ram_region(const struct geometry *g, uint32_t i);

/* The rows that a snapshot of this machine must have, in order: kinds and indexes. */
uint32_t geometry_rows(const struct geometry *g);
struct snap_row_id geometry_row(const struct geometry *g, uint32_t i);

/* The file, in this order and without gaps but for alignment:
 *
 *   header page            FILE_PAGE bytes
 *   section table          n rows of SNAP_ROW_SIZE bytes
 *   sections               in canonical order, each at the next multiple of FILE_SECT_ALIGN (an
 *                          empty one takes no room); the last of them is SECT_RAM_SUMS
 *   RAM                    at the next multiple of FILE_RAM_ALIGN; it ends the file
 *
 * All padding is zero. Fills in the offsets of rows whose kind, index and size are set, in
 * canonical order. The rows may come from a file; they and *ret_total stay untouched on failure.
 * ERR_MISSING, ERR_ORDER or ERR_LAYOUT (section "table", field "kind" or "rows") when kinds or
 * indexes are not the canonical ones, naming the row; ERR_SIZE (field "size") when a section is
 * larger than its kind may be, or RAM is not the machine's. */
must_check err_t geometry_layout(const struct geometry *g, struct snap_row *rows, uint32_t n,
				 struct diag *d, bytes_t *ret_total);
