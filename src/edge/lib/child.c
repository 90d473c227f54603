/* SPDX-License-Identifier: Apache-2.0 */
/* Two locks per handle. What a worker is asked takes microseconds, or as long as memory takes to copy, or
 * a minute when it does not answer and is killed; whoever only wants to know how the machine is does not
 * wait for that. */
#include "edge/lib/child_parts.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "edge/lib/config_image.h"
#include "edge/lib/error.h"
#include "life/zygote.h"

enum { GLANCE_NS = 2000000 }; /* longer than others take that only look at how it is */

static struct child *child_of(spore_machine *m)
{
	return (struct child *)m;
}

struct locked { pthread_mutex_t *lock; };

static struct locked lock(pthread_mutex_t *m)
{
	(void)pthread_mutex_lock(m);
	return (struct locked){ m };
}

static void unlock(struct locked *k)
{
	(void)pthread_mutex_unlock(k->lock);
}

/* Holds the lock until the end of the block. */
#define HOLD(mutex) __attribute__((cleanup(unlock), unused)) struct locked held_ = lock(mutex)

/* ---- what has become of it: by who talks, or wants it to stop ---- */

static void become(struct child *c, enum spore_state state)
{
	HOLD(&c->lock);

	if (c->state != SPORE_ENDED)
		c->state = state;
}

static void end(struct child *c, enum vm_outcome o, const struct diag *d)
{
	HOLD(&c->lock);

	if (c->state == SPORE_ENDED)
		return;
	c->state = SPORE_ENDED;
	c->outcome = (enum spore_outcome)o;
	if (o == VM_ERROR || o == VM_CRASH)
		(void)error_give(FAIL(ERR_INTERNAL), d, &c->why);
	worker_kill(c->worker);
}

static void refresh(struct child *c)
{
	struct diag d = DIAG_INIT;
	enum vm_outcome o;

	if (c->state != SPORE_RUNNING && c->state != SPORE_PAUSED)
		return;
	o = worker_outcome(c->worker, &d);
	if (o != VM_NONE)
		end(c, o, &d);
}

/* Unless somebody talks to it: that one will notice. */
static void glance(struct child *c)
{
	if (pthread_mutex_trylock(&c->talk) != 0)
		return;
	refresh(c);
	(void)pthread_mutex_unlock(&c->talk);
}

/* What was asked has failed: perhaps because there is nobody any more. */
static err_t after(struct child *c, err_t e)
{
	if (failed(e))
		refresh(c);
	return e;
}

/* False: somebody asks it what takes longer than a glance. */
static bool lock_soon(pthread_mutex_t *m)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GLANCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &until) == 0;
}

/* ---- the calls ---- */

static err_t child_boot(spore_machine *m, const struct spore_config *config, struct diag *d)
{
	(void)config;
	return machine_state_fail(child_of(m)->state, "boot", d);
}

static err_t child_restore(spore_machine *m, const char *path,
			   const struct spore_restore_options *o, struct diag *d)
{
	(void)path;
	(void)o;
	return machine_state_fail(child_of(m)->state, "restore", d);
}

static err_t pause_now(struct child *c, struct diag *d)
{
	TRY(after(c, worker_pause(c->worker, d)));
	become(c, SPORE_PAUSED);
	return OK;
}

static err_t child_pause(spore_machine *m, struct diag *d)
{
	struct child *c = child_of(m);
	HOLD(&c->talk);

	refresh(c);
	if (c->state == SPORE_PAUSED)
		return OK;
	return c->state == SPORE_RUNNING ? pause_now(c, d) : machine_state_fail(c->state, "pause", d);
}

static err_t child_resume(spore_machine *m, struct diag *d)
{
	struct child *c = child_of(m);
	HOLD(&c->talk);

	refresh(c);
	if (c->state == SPORE_RUNNING)
		return OK;
	if (c->state != SPORE_PAUSED)
		return machine_state_fail(c->state, "resume", d);
	TRY(after(c, worker_resume(c->worker, d)));
	become(c, SPORE_RUNNING);
	return OK;
}

static err_t child_snapshot(spore_machine *m, const char *path,
			    const struct spore_snapshot_options *o, struct diag *d)
{
	(void)m;
	(void)path;
	(void)o;
	return diag_fail(d, FAIL(ERR_STATE), "snapshot: a jailed machine writes no files: freeze it, "
			 "and save the zygote");
}

static err_t child_freeze(spore_machine *m, const struct spore_freeze_options *o,
			  struct zygote **ret_zygote, struct diag *d)
{
	struct child *c = child_of(m);
	HOLD(&c->talk);

	refresh(c);
	if (c->state == SPORE_RUNNING && (o->flags & SPORE_FREEZE_PAUSE) != 0)
		TRY(pause_now(c, d));
	if (c->state != SPORE_PAUSED)
		return machine_state_fail(c->state, "freeze", d);
	TRY(after(c, worker_freeze(c->worker, d, ret_zygote)));
	end(c, VM_STOPPED, NULL);
	return OK;
}

static err_t child_branch(spore_machine *m, struct zygote **ret_zygote, uint64_t *ret_pause_ns,
			  struct diag *d)
{
	struct child *c = child_of(m);
	HOLD(&c->talk);

	refresh(c);
	if (c->state != SPORE_RUNNING)
		return machine_state_fail(c->state, "branch", d);
	return after(c, worker_branch(c->worker, d, ret_zygote, ret_pause_ns));
}

/* What somebody asks it in this moment then fails, soon; that is not waited for. */
static err_t child_stop(spore_machine *m, struct diag *d)
{
	struct child *c = child_of(m);

	(void)d;
	if (!lock_soon(&c->talk)) {
		end(c, VM_STOPPED, NULL);
		return OK;
	}
	refresh(c);
	end(c, VM_STOPPED, NULL);
	(void)pthread_mutex_unlock(&c->talk);
	return OK;
}

static err_t child_state(spore_machine *m, enum spore_state *ret_state, struct diag *d)
{
	struct child *c = child_of(m);

	(void)d;
	glance(c);
	HOLD(&c->lock);
	*ret_state = c->state;
	return OK;
}

static err_t child_outcome(spore_machine *m, enum spore_outcome *ret_outcome,
			   struct spore_error *ret_why, struct diag *d)
{
	struct child *c = child_of(m);

	(void)d;
	glance(c);
	HOLD(&c->lock);
	*ret_outcome = c->outcome;
	if (c->why.text[0] != '\0' && ret_why != NULL)
		*ret_why = c->why;
	return OK;
}

static void notice(struct child *c)
{
	HOLD(&c->talk);

	refresh(c);
}

/* Holds no lock while it waits. Who talks to a worker that is no more will not be long. */
static err_t child_wait(spore_machine *m, int timeout_ms, enum spore_outcome *ret_outcome,
			struct spore_error *ret_why, struct diag *d)
{
	struct child *c = child_of(m);
	struct pollfd p = { .fd = worker_pidfd(c->worker), .events = POLLIN };

	int r;

	while ((r = poll(&p, 1, timeout_ms)) < 0)
		if (errno != EINTR)
			return diag_sys(d, FAIL_SYS(errno), "wait");
	if (r == 1)
		notice(c);
	return child_outcome(m, ret_outcome, ret_why, d);
}

static void put_phase(struct spore_timings *t, const char *name, uint64_t from, uint64_t to)
{
	struct spore_phase *p = &t->phases[t->n];

	if (to == 0)
		return;
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	p->ns = to > from ? to - from : 0;
	t->total_ns += p->ns;
	t->n++;
}

/* The worker's clock is ours. What it says of its own is not believed to be more than nonsense. */
static err_t child_timings(spore_machine *m, struct spore_timings *ret_timings, struct diag *d)
{
	const struct child *c = child_of(m);
	const struct board *b = worker_board(c->worker);
	struct spore_timings t = { 0 };

	(void)d;
	put_phase(&t, "first entry", c->began, board_entered(b));
	put_phase(&t, "first exit", board_entered(b), board_exited(b));
	*ret_timings = t;
	return OK;
}

static err_t child_config(spore_machine *m, char **ret_json, struct diag *d)
{
	struct child *c = child_of(m);
	const struct config_disks given = { c->files.n, c->files.disk };
	json_t *doc;
	char *text;

	TRY(config_doc_of_image(c->image, &given, d, &doc));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (text == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "config: out of memory");
	*ret_json = text;
	return OK;
}

static err_t child_name(spore_machine *m, char **ret_name, struct diag *d)
{
	char *copy = strdup(child_of(m)->name);

	if (copy == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "name: out of memory");
	*ret_name = copy;
	return OK;
}

static err_t input(struct child *c, const void *bytes, size_t n, size_t *ret_taken, struct diag *d)
{
	refresh(c);
	if (c->state != SPORE_RUNNING && c->state != SPORE_PAUSED)
		return machine_state_fail(c->state, "console", d);
	if (c->state == SPORE_PAUSED) {
		*ret_taken = 0;
		return OK;
	}
	return after(c, worker_input(c->worker, bytes, n, d, ret_taken));
}

static err_t child_input(spore_machine *m, const void *bytes, size_t n, size_t *ret_taken,
			 struct diag *d)
{
	struct child *c = child_of(m);
	err_t e;

	if (!lock_soon(&c->talk)) {
		*ret_taken = 0; /* there is no room now */
		return OK;
	}
	e = input(c, bytes, n, ret_taken, d);
	(void)pthread_mutex_unlock(&c->talk);
	return e;
}

static err_t child_output(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap,
			  uint64_t *ret_from, size_t *ret_n, struct diag *d)
{
	(void)d;
	*ret_n = board_read(worker_board(child_of(m)->worker), from, ret_bytes, cap, ret_from);
	return OK;
}

static err_t child_attach(spore_machine *m, int *ret_fd, struct diag *d)
{
	(void)m;
	(void)ret_fd;
	return diag_fail(d, FAIL(ERR_STATE), "console: only a machine of another monitor can be "
			 "attached to");
}

static int child_event_fd(spore_machine *m)
{
	return worker_pidfd(child_of(m)->worker);
}

static int child_output_fd(spore_machine *m)
{
	return worker_board(child_of(m)->worker)->event.raw;
}

static void child_free(spore_machine *m)
{
	struct child *c = child_of(m);

	if (c->worker != NULL && c->left)
		worker_leave(c->worker);
	else if (c->worker != NULL && c->pool != NULL)
		pool_worker_retire(c->pool, c->worker);
	else
		worker_free(c->worker);
	worker_kit_free(c->kit);
	pool_free(c->pool);
	image_free(c->image);
	for (size_t i = 0; i < c->files.n; i++)
		free((void *)(uintptr_t)c->files.disk[i].path);
	free(c->files.disk);
	(void)pthread_mutex_destroy(&c->talk);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

const struct machine_ops child_ops = {
	.boot = child_boot, .restore = child_restore, .pause = child_pause, .resume = child_resume,
	.snapshot = child_snapshot, .freeze = child_freeze, .branch = child_branch,
	.stop = child_stop, .wait = child_wait, .state = child_state, .outcome = child_outcome, .timings = child_timings,
	.config = child_config, .name = child_name, .input = child_input, .output = child_output,
	.attach = child_attach, .event_fd = child_event_fd, .output_fd = child_output_fd,
	.free = child_free,
};
