/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls on zygotes: from a machine or a file, to a file, and their references. */
#include "edge/lib/zygote.h"

#include <string.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/machine.h"
#include "edge/lib/timings.h"
#include "life/snapshot.h"
#include "life/worker_kit.h"

enum {
	FREEZE_LEAST = sizeof(struct spore_freeze_options),
	BRANCH_LEAST = sizeof(struct spore_branch_options),
	ZYGOTE_LEAST = sizeof(struct spore_zygote_options),
	SAVE_LEAST = sizeof(struct spore_snapshot_options),
};

static void drop(spore_zygote **z)
{
	spore_zygote_free(*z);
}
#define owned_zygote __attribute__((cleanup(drop))) spore_zygote *

/* The handle first: what is frozen cannot be thawed for want of memory. */
static err_t handle_new(spore_zygote **ret, struct diag *d)
{
	spore_zygote *z = calloc(1, sizeof *z);

	if (z == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "zygote: out of memory");
	refs_init(&z->references);
	(void)pthread_mutex_init(&z->lock, NULL);
	*ret = z;
	return OK;
}

err_t zygote_handle(struct zygote *z, struct diag *d, spore_zygote **ret_zygote)
{
	TRY(handle_new(ret_zygote, d));
	(*ret_zygote)->zygote = z;
	return OK;
}

static err_t freeze(spore_machine *m, const struct spore_freeze_options *options,
		    spore_zygote **ret, struct diag *d)
{
	struct spore_freeze_options o = SPORE_FREEZE_OPTIONS_INIT;
	owned_zygote z = NULL;

	TRY(options_take(options, FREEZE_LEAST, sizeof o, &o, "spore_freeze_options", d));
	TRY(options_check(o.flags, SPORE_FREEZE_PAUSE, o.reserved, "spore_freeze_options", d));
	TRY(handle_new(&z, d));
	TRY(m->ops->freeze(m, &o, &z->zygote, d));
	*ret = take_ptr(z);
	return OK;
}

int spore_machine_freeze(spore_machine *m, const struct spore_freeze_options *options,
			 spore_zygote **ret_zygote, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(freeze(m, options, ret_zygote, &d), &d, err);
}

static err_t branch(spore_machine *m, const struct spore_branch_options *options,
		    spore_zygote **ret, struct diag *d)
{
	struct spore_branch_options o = SPORE_BRANCH_OPTIONS_INIT;
	owned_zygote z = NULL;
	uint64_t pause_ns;

	TRY(options_take(options, BRANCH_LEAST, sizeof o, &o, "spore_branch_options", d));
	TRY(options_check(o.flags, 0, o.reserved, "spore_branch_options", d));
	TRY(handle_new(&z, d));
	TRY(m->ops->branch(m, &z->zygote, &pause_ns, d));
	if (o.ret_pause_ns != NULL)
		*o.ret_pause_ns = pause_ns;
	*ret = take_ptr(z);
	return OK;
}

int spore_machine_branch(spore_machine *m, const struct spore_branch_options *options,
			 spore_zygote **ret_zygote, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(branch(m, options, ret_zygote, &d), &d, err);
}

static err_t load(const char *path, const struct spore_zygote_options *options,
		  spore_zygote **ret, struct diag *d)
{
	struct spore_zygote_options o = SPORE_ZYGOTE_OPTIONS_INIT;
	struct restore_options ro = { 0 };
	struct snapshot *file;
	owned_zygote z = NULL;
	err_t e;

	TRY(options_take(options, ZYGOTE_LEAST, sizeof o, &o, "spore_zygote_options", d));
	TRY(options_check(o.flags, 0, o.reserved, "spore_zygote_options", d));
	TRY(handle_new(&z, d));
	ro.progress = o.progress;
	ro.ctx = o.ctx;
	TRY(snapshot_open(path, d, &file));
	e = zygote_load(file, &ro, d, &z->zygote);
	snapshot_free(file);
	TRY(e);
	*ret = take_ptr(z);
	return OK;
}

int spore_zygote_open(const char *path, const struct spore_zygote_options *options,
		      spore_zygote **ret_zygote, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(load(path, options, ret_zygote, &d), &d, err);
}

/* By a child that never runs. */
static err_t save(spore_zygote *z, const char *path, const struct spore_snapshot_options *options,
		  struct diag *d)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	const struct identity same = { .clock = CLOCK_FROZEN };
	const struct vm_options nobody = { 0 };
	struct phase_times times = { .n = 0 };
	struct diag warning = DIAG_INIT;
	struct snapshot_options so = { .path = path, .ret_times = &times, .ret_warning = &warning };
	vm_paused *vm;
	err_t e;

	TRY(options_take(options, SAVE_LEAST, sizeof o, &o, "spore_snapshot_options", d));
	TRY(options_check(o.flags, 0, o.reserved, "spore_snapshot_options", d));
	so.progress = o.progress;
	so.ctx = o.ctx;
	TRY(vm_spawn(z->zygote, &same, &nobody, d, &vm));
	e = snapshot_take(vm, &so, d);
	vm_paused_free(vm);
	TRY(e);
	if (o.ret_timings != NULL)
		*o.ret_timings = timings_of(&times);
	if (o.ret_warning != NULL)
		*o.ret_warning = warning.text[0] != '\0' ? strdup(warning.text) : NULL;
	return OK;
}

int spore_zygote_save(spore_zygote *z, const char *path,
		      const struct spore_snapshot_options *options, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(save(z, path, options, &d), &d, err);
}

spore_zygote *spore_zygote_again(spore_zygote *z)
{
	refs_take(&z->references);
	return z;
}

void spore_zygote_free(spore_zygote *z)
{
	if (z == NULL || !refs_drop(&z->references))
		return;
	worker_kit_free(z->kit);
	(void)pthread_mutex_destroy(&z->lock);
	zygote_free(z->zygote);
	free(z);
}
