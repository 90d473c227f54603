/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls that spawn: in a worker, or in the caller's own process. */
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "edge/lib/child.h"
#include "edge/lib/error.h"
#include "edge/lib/identity.h"
#include "edge/lib/jail.h"
#include "edge/lib/local.h"
#include "edge/lib/zygote.h"

enum { SPAWN_LEAST = sizeof(struct spore_spawn_options) };

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static err_t options_judge(const struct spore_spawn_options *options,
			   struct spore_spawn_options *ret, struct diag *d)
{
	TRY(options_take(options, SPAWN_LEAST, sizeof *ret, ret, "spore_spawn_options", d));
	return options_check(ret->flags, SPORE_SPAWN_RESUME, ret->reserved, "spore_spawn_options", d);
}

/* `o` was judged. */
static err_t spawn_one(spore_zygote *z, const struct spore_spawn_options *o, uint64_t since_ns,
		       spore_machine **ret_machine, struct diag *d)
{
	struct spore_machine_options machine = SPORE_MACHINE_OPTIONS_INIT;
	struct spore_identity identity = SPORE_IDENTITY_INIT;
	struct identity_given given;
	struct spawn_request r = {
		.zygote = z->zygote, .identity = &given.identity, .machine = &machine,
		.pool = o->pool != NULL ? o->pool->pool : NULL,
		.resume = (o->flags & SPORE_SPAWN_RESUME) != 0, .since_ns = since_ns,
	};
	struct local *l;

	if (o->jail != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_spawn_options: a jail, for a machine that "
				 "is to have none");
	if (r.pool != NULL && pool_is_of_workers(r.pool))
		return diag_fail(d, FAIL(ERR_USAGE), "the pool is of workers, expected one that was made "
				 "with SPORE_POOL_UNJAILED");
	TRY(machine_options_take(o->machine, &machine, d));
	TRY(identity_take(o->identity, &identity, d));
	TRY(identity_for(&identity, zygote_image(z->zygote), &given, d));
	TRY(local_spawn(&r, d, &l));
	*ret_machine = &l->base;
	return OK;
}

/* ---- in a worker ---- */

/* Whatever the guest says is somebody else's memory until it is asked for. */
static err_t no_console(const struct spore_machine_options *given, struct diag *d)
{
	struct spore_machine_options machine = SPORE_MACHINE_OPTIONS_INIT;

	TRY(machine_options_take(given, &machine, d));
	if (machine.console != NULL || machine.console_fd >= 0)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_machine_options: a jailed machine's console "
				 "is read with spore_machine_output, expected neither a callback nor a "
				 "descriptor");
	return OK;
}

static err_t spawn_jailed(spore_zygote *z, const struct spore_spawn_options *o, uint64_t since_ns,
			  spore_machine **ret_machine, struct diag *d)
{
	struct spore_identity identity = SPORE_IDENTITY_INIT;
	struct identity_given given;
	struct child_request r = {
		.zygote = z->zygote, .identity = &given.identity,
		.pool = o->pool != NULL ? o->pool->pool : NULL,
		.run = (o->flags & SPORE_SPAWN_RESUME) != 0, .since_ns = since_ns,
	};
	err_t e;

	if (r.pool != NULL && !pool_is_of_workers(r.pool))
		return diag_fail(d, FAIL(ERR_USAGE), "the pool is of machines in this process "
				 "(SPORE_POOL_UNJAILED), expected one of workers");
	if (r.pool != NULL && o->jail != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_spawn_options: the pool says how its workers "
				 "are jailed, expected no jail beside it");
	TRY(no_console(o->machine, d));
	TRY(identity_take(o->identity, &identity, d));
	TRY(identity_for(&identity, zygote_image(z->zygote), &given, d));
	if (r.pool == NULL && o->jail != NULL)
		TRY(jail_kit_new(o->jail, zygote_image(z->zygote), d, &r.kit));
	else if (r.pool == NULL)
		TRY(jail_kit_of(z, d, &r.kit));
	e = child_spawn(&r, d, ret_machine);
	if (failed(e))
		worker_kit_free(r.kit);
	return e;
}

/* ---- either ---- */

typedef err_t spawner(spore_zygote *z, const struct spore_spawn_options *o, uint64_t since_ns,
		      spore_machine **ret_machine, struct diag *d);

static int spawn_by(spawner *spawns, spore_zygote *z, const struct spore_spawn_options *options,
		    spore_machine **ret_machine, struct spore_error *err)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	uint64_t since_ns = now_ns();
	struct diag d = DIAG_INIT;
	err_t e = options_judge(options, &o, &d);

	if (!failed(e))
		e = spawns(z, &o, since_ns, ret_machine, &d);
	return error_give(e, &d, err);
}

int spore_spawn(spore_zygote *z, const struct spore_spawn_options *options,
		spore_machine **ret_machine, struct spore_error *err)
{
	return spawn_by(spawn_jailed, z, options, ret_machine, err);
}

int spore_spawn_unjailed(spore_zygote *z, const struct spore_spawn_options *options,
			 spore_machine **ret_machine, struct spore_error *err)
{
	return spawn_by(spawn_one, z, options, ret_machine, err);
}

/* ---- many ---- */

static err_t siblings_judge(const struct spore_child *children, size_t n, struct diag *d)
{
	owned_heap struct spore_identity *all = calloc(n, sizeof *all);

	if (all == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%zu children: out of memory", n);
	for (size_t i = 0; i < n; i++) {
		all[i] = (struct spore_identity)SPORE_IDENTITY_INIT;
		TRY(identity_take(children[i].identity, &all[i], d));
	}
	return identities_compare(all, n, d);
}

static err_t check(spore_zygote *z, const struct spore_identity *const *given, size_t n,
		   struct diag *d)
{
	owned_heap struct spore_identity *all = calloc(n + 1, sizeof *all);
	struct identity_given judged;

	if (all == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%zu children: out of memory", n);
	for (size_t i = 0; i < n; i++) {
		all[i] = (struct spore_identity)SPORE_IDENTITY_INIT;
		TRY(identity_take(given[i], &all[i], d));
		TRY(identity_for(&all[i], zygote_image(z->zygote), &judged, d));
	}
	return identities_compare(all, n, d);
}

int spore_spawn_check(spore_zygote *z, const struct spore_identity *const *identities, size_t n,
		      struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(check(z, identities, n, &d), &d, err);
}

static err_t spawn_child(spore_zygote *z, const struct spore_spawn_options *options,
			 struct spore_child *child, struct diag *d)
{
	struct spore_spawn_options o = *options;
	spore_machine *m = NULL;
	err_t e;

	o.identity = child->identity;
	o.machine = child->machine;
	e = spawn_one(z, &o, now_ns(), &m, d);
	child->ret_machine = m;
	child->ret_status = error_give(e, d, &child->ret_error);
	return e;
}

static err_t spawn_many(spore_zygote *z, const struct spore_spawn_options *options,
			struct spore_child *children, size_t n, struct diag *d)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	err_t first = OK;

	TRY(options_judge(options, &o, d));
	if (o.identity != NULL || o.machine != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_spawn_options: identity and machine are "
				 "each child's own, expected NULL");
	if (n != 0)
		TRY(siblings_judge(children, n, d));
	for (size_t i = 0; i < n; i++) {
		struct diag why = DIAG_INIT;
		err_t e = spawn_child(z, &o, &children[i], &why);

		if (!failed(e) || failed(first))
			continue;
		first = e;
		*d = why;
	}
	return first;
}

int spore_spawn_many_unjailed(spore_zygote *z, const struct spore_spawn_options *options,
			      struct spore_child *children, size_t n, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(spawn_many(z, options, children, n, &d), &d, err);
}
