/* SPDX-License-Identifier: Apache-2.0 */
/* A local machine's standing state: making the handle, looking at it, waiting, freeing it. */
#include "edge/lib/local.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "edge/lib/config_image.h"
#include "edge/lib/error.h"
#include "edge/lib/timings.h"

#define X(name, number, text) \
	static_assert((int)VM_##name == (int)SPORE_OUTCOME_##name, "spore.h disagrees on " #name);
VM_OUTCOMES(X)
#undef X
static_assert((int)SPORE_PHASES_MAX >= (int)PHASES_MAX, "every phase fits");

const char *spore_outcome_text(enum spore_outcome outcome)
{
	switch (outcome) {
#define X(name, number, text) case SPORE_OUTCOME_##name: return text;
	VM_OUTCOMES(X)
#undef X
	}
	return "unknown outcome";
}

struct spore_timings timings_of(const struct phase_times *t)
{
	struct spore_timings r = { .total_ns = t->total_ns, .n = t->n,
				   .in_flight = t->in_flight };

	for (uint32_t i = 0; i < t->n; i++) {
		(void)snprintf(r.phases[i].name, sizeof r.phases[i].name, "%s", t->rows[i].name);
		r.phases[i].ns = t->rows[i].ns;
	}
	return r;
}

static void machine_drop(struct local *l)
{
	if (l->pool != NULL && l->running != NULL)
		pool_retire_running(l->pool, l->running);
	else
		vm_running_free(l->running);
	if (l->pool != NULL && l->paused != NULL)
		pool_retire(l->pool, l->paused);
	else
		vm_paused_free(l->paused);
	l->running = NULL;
	l->paused = NULL;
}

/* Where the machine is keeps them; a boot or a restore may add its last phase after it returned. */
static const struct phase_times *times_now(const struct local *l)
{
	if (l->state == SPORE_RUNNING)
		return vm_running_times(l->running);
	return l->state == SPORE_PAUSED ? vm_times(l->paused) : &l->times;
}

/* Verifying comes first and is the caller's wish, so it has a row of its own. */
static struct spore_timings times_tell(const struct local *l)
{
	struct phase_times t = *times_now(l);

	if (l->verify_ns != 0 && t.n < PHASES_MAX) {
		memmove(&t.rows[1], &t.rows[0], t.n * sizeof t.rows[0]);
		t.rows[0] = (struct phase){ "verify RAM", l->verify_ns };
		t.n++;
		t.total_ns += l->verify_ns;
	}
	return timings_of(&t);
}

void local_unstart(struct local *l)
{
	machine_drop(l);
	json_decref(l->doc);
	l->doc = NULL;
	l->name[0] = '\0';
	l->verify_ns = 0;
	l->state = SPORE_NOT_STARTED;
}

void local_end(struct local *l, enum spore_outcome o, const struct diag *why)
{
	if (l->running != NULL || l->paused != NULL)
		l->times = *times_now(l);
	l->state = SPORE_ENDED;
	l->outcome = o;
	if (o == SPORE_OUTCOME_ERROR || o == SPORE_OUTCOME_CRASH)
		(void)error_give(FAIL(ERR_INTERNAL), why, &l->why);
	console_hurry(&l->console);
	machine_drop(l);
	(void)eventfd_write(l->ended.raw, 1);
}

void local_refresh(struct local *l)
{
	struct diag d = DIAG_INIT;
	enum vm_outcome o = VM_NONE;

	if (l->state == SPORE_RUNNING)
		o = vm_outcome(l->running, &d);
	else if (l->state == SPORE_PAUSED)
		o = vm_paused_outcome(l->paused, &d);
	if (o != VM_NONE)
		local_end(l, (enum spore_outcome)o, &d);
}

void local_runs(struct local *l, vm_running *vm)
{
	struct epoll_event ev = { .events = EPOLLIN };

	l->running = vm;
	l->state = SPORE_RUNNING;
	/* The same descriptor again after a pause: EEXIST. */
	(void)epoll_ctl(l->event.raw, EPOLL_CTL_ADD, vm_event_fd(vm), &ev);
}

struct vm_options local_vm_options(struct local *l)
{
	return (struct vm_options){ .console = console_write, .ctx = &l->console };
}

static err_t local_state(spore_machine *m, enum spore_state *ret_state, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	(void)d;
	local_refresh(l);
	*ret_state = l->state;
	return OK;
}

static void outcome_give(const struct local *l, enum spore_outcome *ret_outcome,
			 struct spore_error *ret_why)
{
	*ret_outcome = l->outcome;
	if (l->why.text[0] != '\0' && ret_why != NULL)
		*ret_why = l->why;
}

static err_t local_outcome(spore_machine *m, enum spore_outcome *ret_outcome,
			   struct spore_error *ret_why, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	(void)d;
	local_refresh(l);
	outcome_give(l, ret_outcome, ret_why);
	return OK;
}

/* Never holds the lock while it waits. */
static err_t local_wait(spore_machine *m, int timeout_ms, enum spore_outcome *ret_outcome,
			struct spore_error *ret_why, struct diag *d)
{
	struct local *l = local_of(m);
	struct pollfd p = { .fd = l->event.raw, .events = POLLIN };
	enum spore_state state;

	TRY(local_state(m, &state, d));
	if (state == SPORE_NOT_STARTED)
		return machine_state_fail(state, "wait", d);
	while (poll(&p, 1, timeout_ms) < 0)
		if (errno != EINTR)
			return diag_sys(d, FAIL_SYS(errno), "wait");
	return local_outcome(m, ret_outcome, ret_why, d);
}

static err_t local_timings(spore_machine *m, struct spore_timings *ret_timings, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	if (l->state == SPORE_NOT_STARTED)
		return machine_state_fail(l->state, "timings", d);
	local_refresh(l);
	*ret_timings = times_tell(l);
	return OK;
}

static err_t local_config(spore_machine *m, char **ret_json, struct diag *d)
{
	struct local *l = local_of(m);
	const struct config_disks none = { 0, NULL };
	LOCAL_LOCK(l);
	char *text;

	if (l->doc == NULL && l->image == NULL)
		return machine_state_fail(l->state, "config", d);
	if (l->doc == NULL)
		TRY(config_doc_of_image(l->image, &none, d, &l->doc));
	text = json_dumps(l->doc, JSON_COMPACT);
	if (text == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "config: out of memory");
	*ret_json = text;
	return OK;
}

static err_t local_name(spore_machine *m, char **ret_name, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	char *copy = strdup(l->name);

	if (copy == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "name: out of memory");
	*ret_name = copy;
	return OK;
}

static err_t local_input(spore_machine *m, const void *bytes, size_t n, size_t *ret_taken,
			 struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	local_refresh(l);
	if (l->state != SPORE_RUNNING && l->state != SPORE_PAUSED)
		return machine_state_fail(l->state, "console", d);
	*ret_taken = l->state == SPORE_RUNNING ? vm_console_input(l->running, bytes, n) : 0;
	return OK;
}

static err_t local_output(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap,
			  uint64_t *ret_from, size_t *ret_n, struct diag *d)
{
	(void)d;
	*ret_n = console_read(&local_of(m)->console, from, ret_bytes, cap, ret_from);
	return OK;
}

static err_t local_attach(spore_machine *m, int *ret_fd, struct diag *d)
{
	(void)m;
	(void)ret_fd;
	return diag_fail(d, FAIL(ERR_STATE), "console: only a machine in another process can be "
			 "attached to");
}

static int local_event_fd(spore_machine *m)
{
	return local_of(m)->event.raw;
}

static int local_output_fd(spore_machine *m)
{
	return local_of(m)->console.event.raw;
}

static void local_free(spore_machine *m)
{
	struct local *l = local_of(m);

	console_hurry(&l->console);
	machine_drop(l);
	console_fini(&l->console);
	fd_drop(&l->event);
	fd_drop(&l->ended);
	json_decref(l->doc);
	image_free(l->image);
	pool_free(l->pool);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

static const struct machine_ops local_ops = {
	.boot = local_boot, .restore = local_restore, .pause = local_pause, .resume = local_resume,
	.snapshot = local_snapshot, .freeze = local_freeze, .branch = local_branch,
	.stop = local_stop, .wait = local_wait, .state = local_state, .outcome = local_outcome, .timings = local_timings, .config = local_config,
	.name = local_name, .input = local_input, .output = local_output, .attach = local_attach,
	.event_fd = local_event_fd, .output_fd = local_output_fd, .free = local_free,
};

static err_t events_open(struct local *l, struct diag *d)
{
	struct epoll_event ev = { .events = EPOLLIN };

	l->ended.raw = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->event.raw = epoll_create1(EPOLL_CLOEXEC);
	if (l->ended.raw < 0 || l->event.raw < 0 ||
	    epoll_ctl(l->event.raw, EPOLL_CTL_ADD, l->ended.raw, &ev) < 0)
		return diag_sys(d, FAIL_SYS(errno), "machine: event descriptor");
	return OK;
}

err_t local_new(const struct spore_machine_options *o, struct diag *d, struct local **ret)
{
	struct local *l = calloc(1, sizeof *l);
	err_t e;

	if (l == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "machine: out of memory");
	l->base.ops = &local_ops;
	l->ended = FD_NONE;
	l->event = FD_NONE;
	e = console_init(&l->console, o, d);
	if (failed(e)) {
		free(l);
		return e;
	}
	(void)pthread_mutex_init(&l->lock, NULL);
	e = events_open(l, d);
	if (failed(e)) {
		local_free(&l->base);
		return e;
	}
	*ret = l;
	return OK;
}

int spore_machine_new(const struct spore_machine_options *options, spore_machine **ret_machine,
		      struct spore_error *err)
{
	struct spore_machine_options o = SPORE_MACHINE_OPTIONS_INIT;
	struct diag d = DIAG_INIT;
	struct local *l = NULL;
	err_t e = machine_options_take(options, &o, &d);

	if (!failed(e))
		e = local_new(&o, &d, &l);
	if (!failed(e))
		*ret_machine = &l->base;
	return error_give(e, &d, err);
}
