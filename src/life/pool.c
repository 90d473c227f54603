/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's thread and what others see of it; pool_spawn.c takes from it and gives back. */
#include "life/pool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "life/pool_parts.h"
#include "life/worker_kit.h"

/* After a failure: a host that lacks something now may have it later, and is not to be asked all the
 * time. */
enum { PAUSE_FIRST_MS = 20, PAUSE_MOST_MS = 2000 };
/* Spawns closer together than this are a burst, which is left alone for so long at most: what it takes
 * is made again when it does not need the processors any more. */
enum { BURST_GAP_MS = 5, BURST_MOST_MS = 1000 };

void pool_lock(struct pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
}

void pool_unlock(struct pool *p)
{
	(void)pthread_mutex_unlock(&p->lock);
}

static struct timespec in_ms(int ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

static bool is_over(const struct timespec *t)
{
	struct timespec now = in_ms(0);

	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

void pool_note_spawn(struct pool *p)
{
	if (is_over(&p->quiet))
		p->late = in_ms(BURST_MOST_MS);
	p->quiet = in_ms(BURST_GAP_MS);
}

/* When building may go on. Lock held. */
static const struct timespec *build_time(const struct pool *p)
{
	if (p->pause_ms != 0 && !is_over(&p->not_before))
		return &p->not_before;
	return is_over(&p->quiet) || is_over(&p->late) ? NULL : &p->quiet;
}

/* ---- the thread ---- */

enum work { WORK_NONE, WORK_FREE, WORK_SHELL, WORK_ARMED };

static enum work to_build(const struct pool *p)
{
	if (build_time(p) != NULL)
		return WORK_NONE;
	if (p->armed.n < p->want.armed)
		return WORK_ARMED;
	return p->shells.n < p->want.shells ? WORK_SHELL : WORK_NONE;
}

/* Building and tearing down take turns, so that neither waits for the end of the other. Lock held. */
static enum work next_work(struct pool *p)
{
	enum work build = to_build(p);

	if (p->dead.n == 0 || (build != WORK_NONE && p->turn))
		return build;
	return WORK_FREE;
}

/* What is no longer wanted. Lock held. */
static void *surplus(struct pool *p)
{
	if (p->shells.n > p->want.shells)
		return stack_pop(&p->shells);
	return p->armed.n > p->want.armed ? stack_pop(&p->armed) : NULL;
}

static void note_failure(struct pool *p, err_t e, const struct diag *d)
{
	p->failures++;
	p->last = e;
	p->why = *d;
	p->pause_ms = p->pause_ms == 0 ? PAUSE_FIRST_MS : p->pause_ms * 2;
	if (p->pause_ms > PAUSE_MOST_MS)
		p->pause_ms = PAUSE_MOST_MS;
	p->not_before = in_ms(p->pause_ms);
}

/* Lock held, and not meanwhile. */
static void tear_down(struct pool *p, void *thing)
{
	p->freeing = 1;
	pool_unlock(p);
	p->kind->free(thing);
	pool_lock(p);
	p->freeing = 0;
}

/* The same. */
static void build(struct pool *p, enum work what)
{
	bool arms = what == WORK_ARMED;
	struct zygote *z = zygote_again(arms ? p->zygote : p->likely);
	struct diag d = DIAG_INIT;
	void *made = NULL;
	err_t e;

	p->building = 1;
	pool_unlock(p);
	e = (arms ? p->kind->arm : p->kind->build)(p, z, &d, &made);
	pool_lock(p);
	p->building = 0;
	if (failed(e)) {
		note_failure(p, e, &d);
	} else {
		p->pause_ms = 0;
		if (!arms || z == p->zygote)
			stack_push(arms ? &p->armed : &p->shells, made);
		else
			tear_down(p, made); /* others are to be armed by now */
	}
	pool_unlock(p);
	zygote_free(z);
	pool_lock(p);
}

static void wait_for_work(struct pool *p)
{
	const struct timespec *at = build_time(p);
	struct timespec until;

	if (p->shells.n >= p->want.shells && p->armed.n >= p->want.armed) {
		(void)pthread_cond_wait(&p->work, &p->lock);
	} else if (at != NULL) { /* else it has come meanwhile */
		until = *at; /* a spawn may move it while the lock is not held */
		(void)pthread_cond_timedwait(&p->work, &p->lock, &until);
	}
}

static void work_once(struct pool *p)
{
	void *extra = surplus(p);
	enum work next = extra != NULL ? WORK_FREE : next_work(p);

	p->turn = next == WORK_FREE;
	switch (next) {
	case WORK_NONE:
		wait_for_work(p);
		return;
	case WORK_FREE:
		tear_down(p, extra != NULL ? extra : stack_pop(&p->dead));
		break;
	case WORK_SHELL:
	case WORK_ARMED:
		build(p, next);
		break;
	}
	(void)pthread_cond_broadcast(&p->done);
}

static void *thread_main(void *arg)
{
	struct pool *p = arg;

	(void)pthread_setname_np(pthread_self(), "pool");
	pool_lock(p);
	while (!p->closing)
		work_once(p);
	while (p->shells.n + p->armed.n + p->dead.n > 0) {
		struct stack *s = p->shells.n > 0 ? &p->shells : p->armed.n > 0 ? &p->armed : &p->dead;

		tear_down(p, stack_pop(s));
	}
	pool_unlock(p);
	return NULL;
}

/* ---- making and unmaking ---- */

static err_t number_judge(uint32_t n, const char *what, struct diag *d)
{
	if (n > POOL_MOST)
		return diag_fail(d, FAIL(ERR_USAGE), "a pool of %u %s, expected at most %d", n, what,
				 POOL_MOST);
	return OK;
}

/* All signals are the embedding program's business; faults in guest memory are ours. */
static err_t thread_start(struct pool *p, struct diag *d)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&p->thread, NULL, thread_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return diag_sys(d, FAIL_SYS(r), "starting a pool's thread");
	return OK;
}

static void conds_init(struct pool *p)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_cond_init(&p->done, &attr);
	pthread_condattr_destroy(&attr);
}

err_t pool_make(struct zygote *z, struct pool_want want, const struct pool_kind *kind,
		struct worker_kit *kit, struct diag *d, struct pool **ret_pool)
{
	struct pool *p;
	err_t e;

	TRY(number_judge(want.shells, "shells", d));
	TRY(number_judge(want.armed, "armed machines", d));
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&p->references);
	pthread_mutex_init(&p->lock, NULL);
	conds_init(p);
	p->kind = kind;
	p->layout = image_again(zygote_image(z));
	p->zygote = want.armed != 0 ? zygote_again(z) : NULL;
	p->likely = zygote_again(z);
	p->want = want;
	p->kit = kit;
	e = thread_start(p, d);
	if (failed(e)) {
		p->closing = true;
		p->kit = NULL;
		zygote_free(take_ptr(p->zygote));
		zygote_free(take_ptr(p->likely));
		pool_free(p);
		return e;
	}
	*ret_pool = p;
	return OK;
}

/* Others may still spawn from it. */
static void forget_likely(struct pool *p)
{
	struct zygote *likely;

	pool_lock(p);
	likely = p->likely;
	p->likely = NULL;
	pool_unlock(p);
	zygote_free(likely);
}

void pool_close(struct pool *p)
{
	pool_lock(p);
	p->closing = true;
	p->want = (struct pool_want){ 0, 0 };
	(void)pthread_cond_broadcast(&p->work);
	pool_unlock(p);
	(void)pthread_join(p->thread, NULL);
	zygote_free(take_ptr(p->zygote));
	forget_likely(p);
	(void)pthread_cond_broadcast(&p->done);
}

struct pool *pool_again(struct pool *p)
{
	refs_take(&p->references);
	return p;
}

void pool_free(struct pool *p)
{
	if (p == NULL || !refs_drop(&p->references))
		return;
	image_free(p->layout);
	worker_kit_free(p->kit);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- looking ---- */

static void want_changed(struct pool *p)
{
	p->pause_ms = 0;
	(void)pthread_cond_broadcast(&p->work);
}

err_t pool_resize(struct pool *p, uint32_t shells, struct diag *d)
{
	TRY(number_judge(shells, "shells", d));
	pool_lock(p);
	p->want.shells = shells;
	want_changed(p);
	pool_unlock(p);
	return OK;
}

/* What is armed is always of p->zygote, so that goes first. Lock held, and not meanwhile. */
static void disarm(struct pool *p, const struct zygote *unless)
{
	p->want.armed = 0;
	while (p->zygote != unless && p->armed.n > 0) {
		void *thing = stack_pop(&p->armed);

		if (pool_leave(p, thing))
			continue;
		pool_unlock(p);
		p->kind->free(thing);
		pool_lock(p);
	}
}

err_t pool_arm(struct pool *p, struct zygote *z, uint32_t armed, struct diag *d)
{
	struct zygote *wanted = armed != 0 ? z : NULL, *before = NULL;

	TRY(number_judge(armed, "armed machines", d));
	TRY(pool_judge(p, z, d));
	pool_lock(p);
	if (p->zygote != wanted)
		disarm(p, wanted);
	if (p->zygote != wanted) {
		before = p->zygote;
		p->zygote = wanted != NULL ? zygote_again(wanted) : NULL;
	}
	p->want.armed = armed;
	want_changed(p);
	pool_unlock(p);
	zygote_free(before);
	return OK;
}

struct pool_stats pool_look(struct pool *p)
{
	struct pool_stats s;

	pool_lock(p);
	s = (struct pool_stats){
		.want = p->want, .shells = p->shells.n, .armed = p->armed.n,
		.building = p->building, .dead = p->dead.n + p->freeing,
		.from_shell = p->from_shell, .from_armed = p->from_armed, .cold = p->cold,
		.failures = p->failures, .last = p->last, .why = p->why,
	};
	pool_unlock(p);
	return s;
}

static bool is_settled(const struct pool *p)
{
	return p->shells.n == p->want.shells && p->armed.n == p->want.armed && p->building == 0 &&
	       p->dead.n + p->freeing == 0;
}

bool pool_settle(struct pool *p, int ms)
{
	struct timespec end = in_ms(ms < 0 ? 0 : ms);
	uint64_t failures;
	bool settled;
	int r = 0;

	pool_lock(p);
	failures = p->failures;
	while (!(settled = is_settled(p)) && p->failures == failures && !p->closing && r == 0)
		r = ms < 0 ? pthread_cond_wait(&p->done, &p->lock)
			   : pthread_cond_timedwait(&p->done, &p->lock, &end);
	pool_unlock(p);
	return settled;
}
