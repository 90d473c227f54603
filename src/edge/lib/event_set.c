/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of many machines at one descriptor: an epoll over each one's own, in which entries are found
 * by a number that is never used again, so that a word about a machine that has left goes nowhere. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/heap.h"
#include "base/own.h"
#include "edge/lib/error.h"
#include "edge/lib/machine.h"

struct entry {
	uint64_t id;
	spore_machine *machine;
	void *ctx;
};

struct spore_events {
	fd_t epoll;
	pthread_mutex_t lock; /* all below */
	struct entry *at;     /* owned; ascending by id */
	size_t n, room;
	uint64_t last_id;
};

enum { BATCH = 64 };

static void lock(struct spore_events *e)
{
	(void)pthread_mutex_lock(&e->lock);
}

static void unlock(struct spore_events *e)
{
	(void)pthread_mutex_unlock(&e->lock);
}

int spore_events_new(spore_events **ret_events, struct spore_error *err)
{
	struct spore_events *e = calloc(1, sizeof *e);
	struct diag d = DIAG_INIT;

	if (e == NULL)
		return error_give(FAIL(ERR_NOMEM), NULL, err);
	e->epoll = (fd_t){ epoll_create1(EPOLL_CLOEXEC) };
	if (!fd_is_open(e->epoll)) {
		err_t why = diag_sys(&d, FAIL_SYS(errno), "events: event descriptor");

		free(e);
		return error_give(why, &d, err);
	}
	(void)pthread_mutex_init(&e->lock, NULL);
	*ret_events = e;
	return SPORE_OK;
}

void spore_events_free(spore_events *e)
{
	if (e == NULL)
		return;
	fd_drop(&e->epoll);
	(void)pthread_mutex_destroy(&e->lock);
	free(e->at);
	free(e);
}

int spore_events_fd(spore_events *e)
{
	return e->epoll.raw;
}

/* ---- who is in it (lock held) ---- */

static err_t room_make(struct spore_events *e)
{
	size_t room = e->room == 0 ? 16 : e->room * 2;
	struct entry *more;

	if (e->n < e->room)
		return OK;
	more = reallocarray(e->at, room, sizeof *more);
	if (more == NULL)
		return FAIL(ERR_NOMEM);
	e->at = more;
	e->room = room;
	return OK;
}

static int id_order(const void *id, const void *entry)
{
	uint64_t a = *(const uint64_t *)id, b = ((const struct entry *)entry)->id;

	return a < b ? -1 : a > b;
}

static struct entry *find(struct spore_events *e, uint64_t id)
{
	return e->n == 0 ? NULL : bsearch(&id, e->at, e->n, sizeof e->at[0], id_order);
}

static void forget(struct spore_events *e, struct entry *entry)
{
	size_t behind = (size_t)(e->at + e->n - entry) - 1;

	(void)epoll_ctl(e->epoll.raw, EPOLL_CTL_DEL, spore_machine_event_fd(entry->machine), NULL);
	memmove(entry, entry + 1, behind * sizeof *entry);
	e->n--;
}

static err_t add(struct spore_events *e, spore_machine *m, void *ctx, struct diag *d)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = e->last_id + 1 };

	TRY(room_make(e));
	if (epoll_ctl(e->epoll.raw, EPOLL_CTL_ADD, spore_machine_event_fd(m), &ev) != 0) {
		if (errno == EEXIST)
			return diag_fail(d, FAIL(ERR_EXISTS), "events: the machine is in the set");
		return diag_sys(d, FAIL_SYS(errno), "events: watching a machine");
	}
	e->at[e->n++] = (struct entry){ ++e->last_id, m, ctx };
	return OK;
}

int spore_events_add(spore_events *e, spore_machine *m, void *ctx, struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	enum spore_state state;
	int status;
	err_t why;

	if (spore_machine_event_fd(m) < 0)
		return error_give(diag_fail(&d, FAIL(ERR_STATE), "events: only machines in this process "
					    "can be watched"), &d, err);
	status = spore_machine_state(m, &state, err);
	if (status != SPORE_OK)
		return status;
	if (state == SPORE_NOT_STARTED)
		return error_give(machine_state_fail(state, "events", &d), &d, err);
	lock(e);
	why = add(e, m, ctx, &d);
	unlock(e);
	return error_give(why, &d, err);
}

void spore_events_remove(spore_events *e, spore_machine *m)
{
	lock(e);
	for (size_t i = 0; i < e->n; i++) {
		if (e->at[i].machine == m) {
			forget(e, &e->at[i]);
			break;
		}
	}
	unlock(e);
}

/* ---- who has ended ---- */

/* Has that one really? A descriptor may be readable for another reason. */
static bool tell(struct spore_events *e, uint64_t id, struct spore_event *ret)
{
	enum spore_outcome outcome = SPORE_OUTCOME_NONE;
	struct entry *entry;
	bool over = false;

	lock(e);
	entry = find(e, id);
	if (entry != NULL && spore_machine_outcome(entry->machine, &outcome, NULL, NULL) == SPORE_OK)
		over = outcome != SPORE_OUTCOME_NONE;
	if (over) {
		*ret = (struct spore_event){ .machine = entry->machine, .ctx = entry->ctx,
					     .outcome = (int32_t)outcome };
		forget(e, entry);
	}
	unlock(e);
	return over;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static err_t next(struct spore_events *e, int timeout_ms, struct spore_event *ret, size_t cap,
		  size_t *ret_n, struct diag *d)
{
	struct epoll_event ready[BATCH];
	int64_t end = now_ms() + timeout_ms, left = timeout_ms;
	size_t found = 0;

	for (;;) {
		int n = epoll_wait(e->epoll.raw, ready, cap < BATCH ? (int)cap : BATCH, (int)left);

		if (n < 0 && errno != EINTR)
			return diag_sys(d, FAIL_SYS(errno), "events: waiting");
		for (int i = 0; i < n; i++)
			found += tell(e, ready[i].data.u64, &ret[found]);
		if (timeout_ms >= 0)
			left = end > now_ms() ? end - now_ms() : 0;
		if (found != 0 || left == 0)
			break;
	}
	*ret_n = found;
	return OK;
}

int spore_events_next(spore_events *e, int timeout_ms, struct spore_event *ret_events, size_t cap,
		      size_t *ret_n, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	if (cap == 0)
		return error_give(diag_fail(&d, FAIL(ERR_USAGE), "events: no room for any"), &d, err);
	return error_give(next(e, timeout_ms, ret_events, cap, ret_n, &d), &d, err);
}
