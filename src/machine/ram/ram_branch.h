/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine's RAM is branched: what it was at one instant becomes a base for others, and the
 * machine goes on, at the same addresses, on private memory over that base, as a child of its own.
 *
 *   prepare   the guest runs       looks for what it wrote; empties page tables, so that little is
 *                                  left to do when it stands still
 *   arm       it stands still      the instant. A shared memory is mapped again as private; of
 *                                  private memory what was written is moved aside, and an empty
 *                                  memfd takes its place
 *   finish    it runs again, on    fills and seals the memfd; who touches a page that is not there
 *             any thread           yet waits for it (uffd.h)
 *   free
 *
 * From arm to the end of finish the guest may wait for finish, so finish must be under way before
 * anything waits for the guest; and nobody but finish looks at the ram, other than through its gmem.
 * Between prepare and arm the ram must not change hands, be walked by ram_freeze, or be branched. */
#pragma once

#include "machine/ram/ram.h"

struct ram_branch;

/* What a branch needs of the host and a process in a jail cannot open any more. Both belong to the
 * memory of the process that made them. Borrowed until the branch is freed. */
struct ram_branch_means {
	int uffd;     /* uffd_open; -1: what was written is copied in arm, while the guest stands still */
	int page_map; /* /proc/self/pagemap, open for reading */
	fd_t *layer;  /* the memfd for what was written (ram_memfd_new); taken when it is needed. NULL:
			 one is made */
};

/* On failure nothing has changed. */
must_check err_t ram_branch_prepare(struct ram *r, struct ram_branch_means means, struct diag *d,
				    struct ram_branch **ret_branch);

/* On failure the ram is as it was and the branch can only be freed; except for ERR_RAM_LOST: the
 * machine must not go on. */
must_check err_t ram_branch_arm(struct ram_branch *b, struct quiesced q, struct diag *d);

/* On failure there is no base to share, but the machine has all its memory and can be branched
 * again; except for ERR_RAM_LOST: who touches what is lost gets a SIGBUS or an error. */
must_check err_t ram_branch_finish(struct ram_branch *b, struct diag *d, struct ram_base **ret_base);

/* What it took: for those who watch. */
struct ram_branch_sizes {
	bytes_t written; /* found to be written, before rounding to pieces */
	bytes_t fresh;   /* in pieces that are filled anew */
};
struct ram_branch_sizes ram_branch_sizes(const struct ram_branch *b);

/* Accepts NULL. Not between arm and finish. */
void ram_branch_free(struct ram_branch *b);
