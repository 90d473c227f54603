/* SPDX-License-Identifier: Apache-2.0 */
/* How a process ended, by its descriptor (pidfd_open(2)). */
#pragma once

enum death_kind {
	DEATH_UNKNOWN, /* not told: it was another's child, and the kernel is older than Linux 6.15 or
	                * nobody has waited for it yet */
	DEATH_STATUS,  /* by itself */
	DEATH_SIGNAL,
};

struct death {
	enum death_kind kind;
	int number; /* the exit status, or the signal */
};

/* Waits until it has ended. A child of this process has been waited for then, and no other has. */
struct death death_wait(int pidfd);
