/* SPDX-License-Identifier: Apache-2.0 */
/* RUNNING <-> PAUSED, PAUSED -> file, PAUSED -> zygote, and the end from outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/lib/local.h"
#include "edge/lib/timings.h"
#include "life/branch.h"
#include "life/snapshot.h"
#include "life/zygote.h"

/* A reader of the console that does not keep up must not hold up the vCPU that is to stop. */
static err_t pause_now(struct local *l, struct diag *d)
{
	vm_paused *vm;
	err_t e;

	console_hurry(&l->console);
	e = vm_pause(&l->running, d, &vm);
	console_calm(&l->console);
	if (failed(e)) {
		local_refresh(l);
		return e;
	}
	l->paused = vm;
	l->state = SPORE_PAUSED;
	/* It may have ended between two looks. */
	local_refresh(l);
	if (l->state == SPORE_ENDED)
		return machine_state_fail(l->state, "pause", d);
	return OK;
}

static err_t resume_now(struct local *l, struct diag *d)
{
	vm_running *vm;

	TRY(vm_resume(&l->paused, d, &vm));
	local_runs(l, vm);
	return OK;
}

err_t local_pause(spore_machine *m, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	local_refresh(l);
	if (l->state == SPORE_PAUSED)
		return OK;
	if (l->state != SPORE_RUNNING)
		return machine_state_fail(l->state, "pause", d);
	return pause_now(l, d);
}

err_t local_resume(spore_machine *m, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	local_refresh(l);
	if (l->state == SPORE_RUNNING)
		return OK;
	if (l->state != SPORE_PAUSED)
		return machine_state_fail(l->state, "resume", d);
	return resume_now(l, d);
}

static void warning_give(const struct diag *warning, char **ret_warning)
{
	if (ret_warning != NULL)
		*ret_warning = warning->text[0] != '\0' ? strdup(warning->text) : NULL;
}

static err_t write_file(struct local *l, const char *path, const struct spore_snapshot_options *o,
		    struct diag *d)
{
	struct phase_times times = { .n = 0 };
	struct diag warning = DIAG_INIT;
	const struct snapshot_options so = {
		.path = path, .disks = (o->flags & SPORE_SNAPSHOT_DISKS) != 0,
		.progress = o->progress, .ctx = o->ctx, .ret_times = &times, .ret_warning = &warning,
	};

	TRY(snapshot_take(l->paused, &so, d));
	/* Disks left in place are worth a word only to a machine that goes on writing to them. */
	if ((o->flags & SPORE_SNAPSHOT_STOP) != 0)
		warning.text[0] = '\0';
	if (o->ret_timings != NULL)
		*o->ret_timings = timings_of(&times);
	warning_give(&warning, o->ret_warning);
	return OK;
}

err_t local_snapshot(spore_machine *m, const char *path, const struct spore_snapshot_options *o,
		     struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	bool ran;
	err_t e;

	local_refresh(l);
	ran = l->state == SPORE_RUNNING;
	if (ran && (o->flags & SPORE_SNAPSHOT_PAUSE) == 0)
		return diag_fail(d, FAIL(ERR_STATE), "snapshot: save/restore unavailable while "
				 "running, pause the machine first");
	if (!ran && l->state != SPORE_PAUSED)
		return machine_state_fail(l->state, "snapshot", d);
	if (ran)
		TRY(pause_now(l, d));
	e = write_file(l, path, o, d);
	if (!failed(e) && (o->flags & SPORE_SNAPSHOT_STOP) != 0)
		local_end(l, SPORE_OUTCOME_STOPPED, NULL);
	else if (ran)
		/* The first failure is the one to tell; a machine that cannot go on says so
		 * itself, as its outcome. */
		e = failed(e) ? (ignore(resume_now(l, NULL)), e) : resume_now(l, d);
	return e;
}

/* The machine is gone with its success, and with some failures. */
static err_t freeze_now(struct local *l, struct zygote **ret_zygote, struct diag *d)
{
	err_t e;

	l->times = *vm_times(l->paused);
	e = vm_freeze(&l->paused, d, ret_zygote);
	if (!failed(e))
		local_end(l, SPORE_OUTCOME_STOPPED, NULL);
	else if (l->paused == NULL)
		local_end(l, SPORE_OUTCOME_ERROR, d);
	return e;
}

err_t local_freeze(spore_machine *m, const struct spore_freeze_options *o,
		   struct zygote **ret_zygote, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	bool ran;
	err_t e;

	local_refresh(l);
	ran = l->state == SPORE_RUNNING;
	if (!(ran && (o->flags & SPORE_FREEZE_PAUSE) != 0) && l->state != SPORE_PAUSED)
		return machine_state_fail(l->state, "freeze", d);
	if (ran)
		TRY(pause_now(l, d));
	e = freeze_now(l, ret_zygote, d);
	if (ran && l->state == SPORE_PAUSED)
		ignore(resume_now(l, NULL)); /* one that cannot go on says so as its outcome */
	return e;
}

err_t local_branch(spore_machine *m, struct zygote **ret_zygote, uint64_t *ret_pause_ns,
		   struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	struct branch_times times;

	local_refresh(l);
	if (l->state != SPORE_RUNNING)
		return machine_state_fail(l->state, "branch", d);
	TRY(vm_branch(&l->running, NULL, d, ret_zygote, &times));
	*ret_pause_ns = times.pause_ns;
	return OK;
}

err_t local_stop(spore_machine *m, struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);

	local_refresh(l);
	if (l->state == SPORE_NOT_STARTED)
		return machine_state_fail(l->state, "stop", d);
	if (l->state == SPORE_RUNNING) {
		console_hurry(&l->console);
		vm_stop(l->running);
		local_refresh(l);
	}
	if (l->state != SPORE_ENDED)
		local_end(l, SPORE_OUTCOME_STOPPED, NULL);
	return OK;
}
