/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of workers: processes that are ready to become a machine, or are one that has not run. */
#include "life/pool_parts.h"
#include "life/worker_host.h"

static err_t give(struct worker *w, err_t e, void **ret)
{
	if (failed(e)) {
		worker_free(w);
		return e;
	}
	*ret = w;
	return OK;
}

/* With the last zygote that was spawned here in hand. */
static err_t build(const struct pool *p, struct zygote *likely, struct diag *d, void **ret)
{
	struct worker *w;

	TRY(worker_start(p->kit, likely, d, &w));
	return give(w, worker_ready(w, d), ret);
}

static err_t arm(const struct pool *p, struct zygote *z, struct diag *d, void **ret)
{
	const struct identity plain = { .clock = CLOCK_FROZEN };
	struct worker *w;

	TRY(worker_start(p->kit, z, d, &w));
	return give(w, worker_spawn(w, z, &plain, false, d), ret);
}

static void unbuild(void *worker)
{
	worker_free(worker);
}

static const struct pool_kind workers = { build, arm, unbuild };

err_t pool_workers_new(struct zygote *z, struct pool_want want, struct worker_kit *kit,
		       struct diag *d, struct pool **ret_pool)
{
	return pool_make(z, want, &workers, kit, d, ret_pool);
}

bool pool_is_of_workers(const struct pool *p)
{
	return p->kind == &workers;
}

static err_t spawn_in(struct worker *w, struct zygote *z, const struct identity *id, bool run,
		      struct diag *d, struct worker **ret_worker)
{
	err_t e = worker_spawn(w, z, id, run, d);

	if (failed(e)) {
		worker_free(w);
		return e;
	}
	*ret_worker = w;
	return OK;
}

err_t pool_worker_spawn(struct pool *p, struct zygote *z, const struct identity *id, bool run,
			struct diag *d, struct worker **ret_worker)
{
	struct worker *w;
	struct taken t;

	TRY(pool_judge(p, z, d));
	t = pool_take(p, z, id);
	if (t.armed != NULL) {
		*ret_worker = t.armed;
		return worker_claim(t.armed, id, run, d);
	}
	if (t.shell != NULL)
		return spawn_in(t.shell, z, id, run, d, ret_worker);
	TRY(worker_start(p->kit, z, d, &w));
	return spawn_in(w, z, id, run, d, ret_worker);
}

void pool_worker_retire(struct pool *p, struct worker *w)
{
	bool left;

	worker_kill(w);
	pool_lock(p);
	left = pool_leave(p, w);
	pool_unlock(p);
	if (!left)
		worker_free(w);
}
