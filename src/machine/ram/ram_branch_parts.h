/* SPDX-License-Identifier: Apache-2.0 */
/* What a branch is made of: shared by the files that make it and by nobody else. */
#pragma once

#include "machine/ram/ram_branch.h"
#include "machine/ram/ram_written.h"

struct ram_branch {
	struct ram *ram;
	int uffd;
	bool is_shared, is_armed, is_finished;
	map_t reserve;   /* addresses for what is moved aside */
	uint8_t *aside;  /* RAM's first byte there */
	uint64_t moved;  /* how much of RAM was gone through in moving it */
	fd_t memfd;      /* the new base's, to be sealed */
	fd_t *layer;     /* what it is to be, if it is not made here; borrowed until then */
	map_t door;      /* where it is filled (page_fill.h) */
	struct page_map map; /* borrowed */
	struct ram_written written;
	struct ram_below below;
	struct ram_extents pieces;
	uint32_t fresh;        /* the new memfd among the pieces' sources */
	struct ram_base *old;  /* what the machine ran on; a reference, once armed */
	uint8_t *done;
};

/* Is it a piece that is filled anew? */
static inline bool branch_is_fresh(const struct ram_branch *b, const struct ram_extent *e)
{
	return e->source == b->fresh;
}

/* ram_branch_move.c: memory moved aside, and what takes its place */

must_check err_t branch_reserve(struct ram_branch *b, struct diag *d);
/* All of a shared memory, which is one mapping. */
must_check err_t branch_move_all_aside(struct ram_branch *b, struct diag *d);
must_check err_t branch_move_all_back(struct ram_branch *b);
/* What gets other memory: `old` is what is mapped, `pieces` what shall be. After a failure half way,
 * too, it can be moved back, whatever has taken its place. */
must_check err_t branch_move_aside(struct ram_branch *b, struct diag *d);
must_check err_t branch_move_back(struct ram_branch *b);
must_check err_t branch_map_new(struct ram_branch *b, struct diag *d);
