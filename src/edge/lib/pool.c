/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls on pools. */
#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/jail.h"
#include "edge/lib/zygote.h"

static_assert((int)SPORE_POOL_MOST == (int)POOL_MOST, "spore.h disagrees");

enum { POOL_LEAST = sizeof(struct spore_pool_options) };

static err_t workers_make(spore_zygote *z, const struct spore_pool_options *o, struct diag *d,
			  struct pool **ret)
{
	struct worker_kit *kit;
	err_t e;

	TRY(jail_kit_new(o->jail, zygote_image(z->zygote), d, &kit));
	e = pool_workers_new(z->zygote, (struct pool_want){ o->shells, o->armed }, kit, d, ret);
	if (failed(e))
		worker_kit_free(kit);
	return e;
}

static err_t pool_handle(spore_zygote *z, const struct spore_pool_options *options,
		       spore_pool **ret_pool, struct diag *d)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	owned_heap spore_pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "pool: out of memory");
	TRY(options_take(options, POOL_LEAST, sizeof o, &o, "spore_pool_options", d));
	TRY(options_check(o.flags, SPORE_POOL_UNJAILED, o.reserved, "spore_pool_options", d));
	if ((o.flags & SPORE_POOL_UNJAILED) == 0)
		TRY(workers_make(z, &o, d, &p->pool));
	else if (o.jail != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_pool_options: a jail, for machines that are "
				 "to have none");
	else
		TRY(pool_new(z->zygote, (struct pool_want){ o.shells, o.armed }, d, &p->pool));
	*ret_pool = take_ptr(p);
	return OK;
}

int spore_pool_new(spore_zygote *z, const struct spore_pool_options *options,
		   spore_pool **ret_pool, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(pool_handle(z, options, ret_pool, &d), &d, err);
}

int spore_pool_resize(spore_pool *p, uint32_t shells, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(pool_resize(p->pool, shells, &d), &d, err);
}

int spore_pool_arm(spore_pool *p, spore_zygote *z, uint32_t armed, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(pool_arm(p->pool, z->zygote, armed, &d), &d, err);
}

void spore_pool_stats(spore_pool *p, struct spore_pool_stats *ret_stats)
{
	struct pool_stats s = pool_look(p->pool);

	*ret_stats = (struct spore_pool_stats){
		.wanted_shells = s.want.shells, .wanted_armed = s.want.armed, .shells = s.shells,
		.armed = s.armed, .building = s.building, .dead = s.dead,
		.from_shell = s.from_shell, .from_armed = s.from_armed, .cold = s.cold,
		.failures = s.failures,
	};
	(void)error_give(s.last, &s.why, &ret_stats->failure);
}

int spore_pool_settle(spore_pool *p, int timeout_ms, int *ret_settled, struct spore_error *err)
{
	uint64_t failures = pool_look(p->pool).failures;
	bool settled = pool_settle(p->pool, timeout_ms);
	struct pool_stats s = pool_look(p->pool);

	if (!settled && s.failures != failures)
		return error_give(s.last, &s.why, err);
	if (ret_settled != NULL)
		*ret_settled = settled;
	return SPORE_OK;
}

void spore_pool_free(spore_pool *p)
{
	if (p == NULL)
		return;
	pool_close(p->pool);
	pool_free(p->pool);
	free(p);
}
