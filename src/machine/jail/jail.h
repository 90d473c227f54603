/* SPDX-License-Identifier: Apache-2.0 */
/* What confines a worker, a process that runs one machine: walls that hold when everything in the
 * worker's own memory is the guest's.
 *
 * Theory of operation. Workers are born in a nursery, a child of the supervisor's that does nothing
 * else (docs/design/0020). What they lose, each as early as it can be missed:
 *
 *   jail_bear          in the nursery: a sibling of it in namespaces of its own.
 *   jail_enter         in the child, first thing, with one thread: everything else that is not a
 *                      system call filter. Afterwards it has the descriptors that it was told to
 *                      keep, an empty root, and no way to open anything. It may make threads.
 *   jail_filter_take   (filter.h) on each thread: nothing but the calls that it makes.
 *
 * A wall that the host does not allow is a failure, ERR_JAIL, which names it; whoever wants to do
 * without it says so in `without`, by name. A jail does not trust its worker; it trusts the
 * supervisor, and the kernel. */
#pragma once

#include <sys/types.h>

#include "base/diag.h"
#include "base/own.h"

/* X(name, pinned number, word) */
#define JAIL_WALLS(X) \
	X(USERNS,   0, "userns")   /* a user namespace: no privilege outside */              \
	X(PIDNS,    1, "pidns")    /* sees and signals no other process */                   \
	X(MOUNTNS,  2, "mountns")  /* a root folder that is empty and read-only */           \
	X(NETNS,    3, "netns")    /* no network, no abstract sockets */                     \
	X(IPCNS,    4, "ipcns")    /* no System V objects, no message queues */              \
	X(UTSNS,    5, "utsns")    /* cannot name the host */                                \
	X(LANDLOCK, 6, "landlock") /* opens no file, however it comes by its name */         \
	X(SECCOMP,  7, "seccomp")  /* makes only the system calls it was built to make */

enum jail_wall {
#define X(name, number, word) JAIL_##name = (number),
	JAIL_WALLS(X)
#undef X
};
enum { JAIL_WALLS_ALL = 0xFF };
#define JAIL_WITHOUT(wall) (UINT32_C(1) << (wall))

const char *jail_wall_word(enum jail_wall w);
must_check bool jail_wall_parse(const char *word, enum jail_wall *ret_wall);

/* Users that nobody else has: between those that container managers take (up to 0x6FFFFFFF) and
 * the half that programs mistake for negative numbers (systemd's "Users, Groups, UIDs and GIDs on
 * systemd Systems"). One per worker, so that neither a signal nor a limit that the kernel counts
 * per user reaches from one to another. */
enum { JAIL_UIDS = 0x70000000, JAIL_UIDS_MAX = 0x0FFFFFFF };

struct jail_limits {
	uint64_t files;      /* descriptors */
	uint64_t file_bytes; /* as far as it may write into a file, a memfd too: 0 is nowhere */
	uint64_t threads;
};

struct jail_options {
	uint32_t without; /* JAIL_WITHOUT(...) | ... */
	/* As root: the user and group to become, JAIL_UIDS and above. Others stay who they are. */
	uint32_t uid;
	/* A network namespace that workers share (jail_netns_new), or -1: one of its own. */
	int netns;
	/* A folder of a cgroup file system, or -1. */
	int cgroup;
	struct jail_limits limits;
	/* The descriptors that jail_enter leaves open, ascending. Of 0, 1 and 2, those that are not
	 * among them become /dev/null. */
	const int *keep;
	size_t n_keep;
};

/* A process that bears workers: of one thread, a child of their supervisor. It never comes out of the
 * network namespace again. `options.uid` is to be set before each birth. */
struct jail_nursery {
	struct jail_options options;
	bool of_root;
};
/* Uses of the options `netns`. */
must_check err_t jail_nursery_enter(const struct jail_options *o, struct diag *d,
				    struct jail_nursery *ret_nursery);

/* pid is 0 in the child itself. */
struct jail_birth { pid_t pid; fd_t go; };

/* A child of the calling process's parent, which is the one to wait for it: first process of its pid
 * namespace, with a copy of all that the nursery has in memory and open. It waits to be raised, and
 * is root then in a user namespace whose root is nobody outside; where it is not, it ends with status
 * 127. Uses of the options `without`, `uid`, `netns`. */
must_check err_t jail_bear(const struct jail_nursery *n, struct diag *d, struct jail_birth *ret_birth);
/* In the nursery: gives it its user, puts it into the cgroup, lets it go. Takes the birth. */
must_check err_t jail_raise(const struct jail_nursery *n, struct jail_birth *birth, struct diag *d);

/* In the child, which has one thread: closes, limits, hides and drops. Uses of the options
 * `without`, `limits`, `keep`, and `uid` where there is no user namespace. A process for which this
 * fails is half confined and must end. */
must_check err_t jail_enter(const struct jail_options *o, struct diag *d);

/* An empty network namespace, held by its descriptor. One serves all workers of a supervisor: to
 * make one for each doubles the time that a birth takes. */
must_check err_t jail_netns_new(struct diag *d, fd_t *ret_netns);

/* What this host lets this user have. */
struct jail_host {
	uint32_t has;     /* a bit per wall, as JAIL_WITHOUT */
	int landlock_abi; /* 0: none */
};
/* Tries it in a child that ends at once; changes nothing. Any thread. */
void jail_host_ask(struct jail_host *ret_host);
/* ERR_JAIL naming the first wall that is missing and not in `without`. */
must_check err_t jail_host_require(const struct jail_host *h, uint32_t without, struct diag *d);

/* Adds a row `jail-WORD` per wall to a report (machine/kvm/host.h). */
struct host_report;
void jail_host_report(struct host_report *io_report);
