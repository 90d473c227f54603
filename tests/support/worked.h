/* SPDX-License-Identifier: Apache-2.0 */
/* Machines in workers that run the test guest, driven through life/worker_host.h with the
 * spore-worker of this build. As kin.h for machines in this process; a failure fails the running
 * test. */
#pragma once

#include "life/worker_host.h"
#include "support/held.h"
#include "support/kin.h"

/* What workers for one durable layout are started with. Skips the test where there are no jails to
 * be had. */
struct home;
struct home *home_new(const struct image *like);
void home_free(struct home *h);
struct worker_kit *home_kit(const struct home *h);
const char *home_program(const struct home *h);
/* Is this a build with sanitizers? They make calls of their own, so its workers have no filters. */
bool sanitized(void);

struct worked;
/* Started and not waited for; `z` may be NULL. */
struct worked *worked_start(struct home *h, struct zygote *z);
/* Of one that somebody else has started; it is taken. */
struct worked *worked_of(struct worker *worker);
void worked_ready(struct worked *w);
/* All of it: started, spawned as it is, running. */
struct worked *worked_child(struct home *h, struct zygote *z);
void worked_free(struct worked *w); /* accepts NULL */
struct worker *worked_worker(struct worked *w);

void worked_spawn(struct worked *w, struct zygote *z, bool run);
void worked_pause(struct worked *w);
void worked_resume(struct worked *w);
/* Frozen as it is, running or paused; the worker is gone. */
struct zygote *worked_freeze(struct worked *w, bool running);

/* What it says next, an answer that must be "ok", a question and that. */
const char *worked_line(struct worked *w);
const char *worked_answer(struct worked *w);
__attribute__((format(printf, 2, 3))) void worked_tell(struct worked *w, const char *line, ...);
__attribute__((format(printf, 2, 3))) const char *worked_ask(struct worked *w, const char *line,
							       ...);
/* Waits until it ends, which must be so; what is said of it. */
struct diag worked_ends(struct worked *w, enum vm_outcome outcome);

/* Waits until a thread of that process with that name sleeps. */
void thread_sleeps(pid_t pid, const char *name);
/* Children of this process that are there or not waited for, but for the nurseries of its homes. */
int children_now(void);
/* That of this process, which has one home. */
pid_t nursery_now(void);
