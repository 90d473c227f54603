/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a new memfd with RAM as it was at one instant, while its machine runs on a private mapping
 * of that same memfd: who touches a page that is not there yet waits, and is served first.
 *
 * One thread fills; it must never touch the live mapping. */
#pragma once

#include "machine/ram/ram_parts.h"

struct page_fill {
	uint8_t *aside;        /* RAM as it was, private over `below`; given back as it is copied */
	uint8_t *live;         /* where the machine runs */
	struct ram_base *below;
	const struct ram_extents *pieces;
	uint32_t fresh;        /* of the pieces, those to be filled */
	int memfd;
	int uffd;              /* watches the fresh pieces of `live`; -1: nobody runs there yet */
	uint8_t *door;         /* all of the memfd, mapped shared and watched, too; NULL without uffd */
	struct page_map map;
	uint8_t *done;         /* a bit per block: filled */
	uint64_t blocks;
};

/* ERR_HOST_MEMORY when the memfd does not take it, ERR_RAM_LOST when what is below was cut. What is
 * filled by then stays filled. */
must_check err_t page_fill_all(struct page_fill *f, struct diag *d);
/* After a failure: what is not filled becomes pages of the machine's own, as if it had written them,
 * and the memfd stays as it is. Nobody waits for the missing pages afterwards. */
must_check err_t page_fill_return(struct page_fill *f, struct diag *d);
/* After that has failed, too: who touches a missing page gets a SIGBUS or an error, as of a file that
 * was cut; nobody is left waiting. */
void page_fill_lose(struct page_fill *f);
