/* SPDX-License-Identifier: Apache-2.0 */
/* A worker seen from its supervisor: a process that is started ahead of need, builds a shell, and
 * becomes one machine.
 *
 *   worker_start        asks for all that can be done before the spawn is known; waits for nothing
 *   worker_ready        has it all been done? Waits
 *   worker_spawn        in the time of one message each way
 *
 * Everything that it says is judged; everything that it could hand over is judged where it is opened.
 * One thread at a time uses a worker, but for worker_kill and worker_hurry, and for what only looks at its
 * process, its board and how it ended. */
#pragma once

#include "life/parcel.h"
#include "life/spawn.h"
#include "life/worker_board.h"
#include "life/worker_kit.h"
#include "wire/worker_msg.h"

struct worker;

/* `z` NULL: for any zygote of that layout; else made ready for that one. */
must_check err_t worker_start(struct worker_kit *k, struct zygote *z, struct diag *d,
			      struct worker **ret_worker);
/* Ends the process. What is left of it goes with worker_free. */
void worker_kill(struct worker *w);
/* Ends it, however far it has come, and waits until nothing of it is left. Accepts NULL. */
void worker_free(struct worker *w);

/* Waits until all that was asked for is done; what of it failed is what it returns. */
must_check err_t worker_ready(struct worker *w, struct diag *d);
/* Readable when there is something to hear from it: an answer, its machine's end, or its own. */
int worker_socket(const struct worker *w);

/* `z` is what it was started for, or will be now. Running afterwards with `run`, else paused. */
must_check err_t worker_spawn(struct worker *w, struct zygote *z, const struct identity *id,
			      bool run, struct diag *d);
/* One that was spawned and has never run gets its name and clocks, and runs with `run`. */
must_check err_t worker_claim(struct worker *w, const struct identity *id, bool run, struct diag *d);
must_check err_t worker_pause(struct worker *w, struct diag *d);
must_check err_t worker_resume(struct worker *w, struct diag *d);
must_check err_t worker_input(struct worker *w, const uint8_t *bytes, size_t n, struct diag *d,
			      size_t *ret_taken);
/* Paused before; afterwards only freed. EMFILE: this process has no room for its files; it can be frozen
 * again, and nothing else. */
must_check err_t worker_freeze(struct worker *w, struct diag *d, struct zygote **ret_zygote);

/* Running, and goes on; for how long it stood still. */
must_check err_t worker_branch(struct worker *w, struct diag *d, struct zygote **ret_zygote,
			       uint64_t *ret_pause_ns);

/* What another process of the same user needs to take over a machine that was spawned; borrowed. */
enum { WORKER_FILE_SOCKET, WORKER_FILE_PROCESS, WORKER_FILE_BOARD, WORKER_FILE_EVENT, WORKER_FILES };
must_check err_t worker_pack(const struct worker *w, struct diag *d, int ret_fds[WORKER_FILES]);
/* There: `z` is what it was spawned from. Waits until it has answered all that it was asked by the
 * process before, some seconds at most, after which it is ended. One that has ended is there all the same,
 * and says how. All of `fds` are taken, on failure too, which leaves the machine as it is. */
must_check err_t worker_adopt(fd_t fds[WORKER_FILES], struct zygote *z, struct diag *d,
			      struct worker **ret_worker, enum worker_state *ret_state);
/* What it is asked to pause, or to be made into a zygote, is not waited for from now on: that fails, and leaves
 * the worker as it is, to be left. */
void worker_hurry(struct worker *w);
/* Here: as worker_free, but it lives on, if somebody else has its files. */
void worker_leave(struct worker *w);
/* What it was spawned from. Borrowed. */
struct zygote *worker_zygote(const struct worker *w);

/* How the machine ended, or the worker; VM_NONE: neither has. Hears what there is to hear first, but
 * waits for nothing. With VM_ERROR and VM_CRASH, *d says why. */
enum vm_outcome worker_outcome(struct worker *w, struct diag *d);
struct board *worker_board(struct worker *w);
/* Readable once the process has ended. Borrowed. */
int worker_pidfd(const struct worker *w);
pid_t worker_pid(const struct worker *w);
