/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's RAM in the host: the memory behind its KVM slots.
 *
 * A cold-booted machine runs on a memfd, mapped shared. A restored one runs on a private mapping
 * of its snapshot file: it reads the file's pages until it writes its own. RAM is walked without
 * reading it where it holds nothing, because reading a memfd's holes through a mapping fills them. */
#pragma once

#include "base/own.h"
#include "machine/ram/gmem.h"
#include "machine/vcpu/quiesced.h"
#include "wire/sections.h"

struct ram;

/* Fresh, zero. ERR_HOST_MEMORY when the host cannot map as much. */
must_check err_t ram_new(const struct geometry *g, struct diag *d, struct ram **ret_ram);
/* Copy-on-write over `file` (borrowed for the call, duplicated) from `at`; `map` says which blocks
 * of it hold data. The caller has checked that RAM lies within the file. */
must_check err_t ram_open(const struct geometry *g, int file, foff_t at, const struct ram_map *map,
			  struct diag *d, struct ram **ret_ram);
void ram_free(struct ram *r);

/* Is the file behind it shorter than it was? Then its pages are gone, whoever touches them. */
must_check bool ram_is_cut(const struct ram *r);

/* As devices see it. Lives as long as the ram. */
const struct gmem *ram_gmem(const struct ram *r);
/* The host address of a region, for its KVM slot. */
void *ram_host(const struct ram *r, struct ram_region region);

/* One pass over the blocks that may hold data, lowest first; a block not visited is all zero.
 * `bytes` is one block: in the guest's memory when `in_place`, so that neighbours lie together,
 * else in a buffer that the next call overwrites. Nothing is allocated in the guest's memory. */
struct ram_visitor {
	err_t (*block)(void *ctx, uint64_t index, const uint8_t *bytes, bool in_place);
	void *ctx;
};
must_check err_t ram_walk(const struct ram *r, struct quiesced q, struct diag *d,
			  struct ram_visitor visitor);
