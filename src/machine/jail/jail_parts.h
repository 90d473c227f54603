/* SPDX-License-Identifier: Apache-2.0 */
/* The jail's parts. Inside machine/jail/ only. */
#pragma once

#include "machine/jail/jail.h"

static inline bool jail_has(const struct jail_options *o, enum jail_wall w)
{
	return (o->without & JAIL_WITHOUT(w)) == 0;
}

/* ERR_JAIL: the host refused that wall, with errno `sys`. */
must_check err_t jail_refused(enum jail_wall w, int sys, struct diag *d);

/* Makes `uid` and `gid` of the namespace of the calling process the root of `pid`'s user namespace,
 * which has no map yet. 0, or errno. Async-signal-safe. */
must_check int identity_map(pid_t pid, uint32_t uid, uint32_t gid);

/* The highest Landlock ABI, 0 when there is none. */
int landlock_abi(void);
/* Denies the calling process every file, and what else this host's Landlock can deny. */
must_check err_t landlock_enter(struct diag *d);

/* Closes everything but `keep`. */
must_check err_t descriptors_close(const int *keep, size_t n, struct diag *d);
/* A root folder with nothing in it. */
must_check err_t root_empty(struct diag *d);
must_check err_t limits_set(const struct jail_options *o, struct diag *d);
/* No privilege is left, and none can be gained. */
must_check err_t privileges_drop(const struct jail_options *o, struct diag *d);
