/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of a private ram its machine wrote since its base was made: looked for once while the
 * machine runs, which takes as long as it takes, and once more when it stands still, only where that
 * is quick. To look at a page that is present costs about 50 ns: the kernel looks at its struct page,
 * whichever way it is asked. */
#pragma once

#include "machine/ram/ram_parts.h"

struct ram_written {
	const struct ram *ram;
	uint8_t *bits;      /* a bit per page; owned */
	uint16_t *present;  /* per area: pages to look at when it stands still; owned */
	uint64_t pages;
	struct ram_run *run; /* owned: what the bits say */
	size_t n_runs;
};

must_check err_t ram_written_new(const struct ram *r, struct ram_written *ret);
void ram_written_drop(struct ram_written *w);

/* All of RAM; the guest may be running. */
must_check err_t ram_written_look(struct ram_written *w, const struct page_map *map, struct diag *d);
/* What lies outside the fresh pieces; the guest stands still. *ret_more: something was found. */
must_check err_t ram_written_look_again(struct ram_written *w, const struct page_map *map,
					const struct ram_extents *pieces, uint32_t fresh,
					struct diag *d, bool *ret_more);

/* Counts as written what would take too long to look at again. */
void ram_written_limit(struct ram_written *w, const struct ram_extents *pieces, uint32_t fresh);
/* Counts the fresh pieces as written. */
void ram_written_cover(struct ram_written *w, const struct ram_extents *pieces, uint32_t fresh);
/* Brings `run` up to date. */
must_check err_t ram_written_runs(struct ram_written *w);
