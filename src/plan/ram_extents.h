/* SPDX-License-Identifier: Apache-2.0 */
/* Which memory a frozen machine's RAM is made of, and the decision how a new layer over it is laid
 * out so that it stays a handful of pieces: each piece is a mapping that every child has to make.
 *
 * Pieces follow each other without gaps from the start of RAM to its end; neighbours differ in
 * source, or are not contiguous in it. Offsets and lengths are whole host pages. */
#pragma once

#include "wire/parcel.h"

/* A piece of RAM that was written since the layer below was frozen. */
struct ram_run { bytes_t offset, len; };

/* The order given to the planner and taken from it. `fresh` is the number that the new layer will
 * have as a source; it lies in its file where it lies in RAM. */
struct ram_layering {
	const struct ram_extent *below;  /* ascending, without gaps: all of RAM */
	size_t n_below;
	const struct ram_run *written;   /* ascending, apart, within RAM */
	size_t n_written;
	uint32_t fresh;
	/* Sources that must not be part of the result (bit i: source i): all of them is to be copied
	 * into the new layer. */
	uint32_t replaced;
	/* Pieces up to this length are given up in any case, where that leaves fewer. */
	bytes_t worthless;
};

/* To copy that much once costs less than to map it in every child. */
#define RAM_WORTHLESS BYTES(MIB(1))

/* At most RAM_EXTENTS_MAX pieces. Whatever of `below` now belongs to the fresh source is to be
 * copied into it; of what was a hole, nothing. The smallest pieces are given up first. */
must_check err_t ram_extents_plan(const struct ram_layering *in, struct ram_extents *ret);
