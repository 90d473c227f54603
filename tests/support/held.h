/* SPDX-License-Identifier: Apache-2.0 */
/* What this process holds, for tests that let it do something and look at what is left. */
#pragma once

#include <stddef.h>

struct held {
	int fds, threads, mappings;
	size_t heap, resident; /* bytes, pages */
};

struct held held_now(void);
/* Fails the test where there is more than before: `fds` more descriptors there may be, and as much as
 * the C library keeps of arenas and thread stacks. */
void held_no_more_than(const struct held *before, int fds);

/* Entries of a folder, "." and ".." among them. */
int entries_of(const char *folder);
