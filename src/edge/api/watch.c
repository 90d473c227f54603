/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/api/watch.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/own.h"

struct watching {
	const struct spore_watch *watch;
	struct event *ready, *later;
	bool polled; /* a file or /dev/null, not for epoll (EPERM): asked again and again */
};

static bool for_epoll(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	owned_fd probe = { epoll_create1(EPOLL_CLOEXEC) };

	return probe.raw >= 0 && epoll_ctl(probe.raw, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void watch_again(struct watching *w)
{
	static const struct timeval soon = { 0, 10000 };

	if (w->polled)
		(void)event_add(w->later, &soon);
	else
		(void)event_add(w->ready, NULL);
}

static void on_watch(evutil_socket_t fd, short what, void *watching)
{
	static const struct timeval soon = { 0, 10000 };
	struct watching *w = watching;

	(void)fd;
	(void)what;
	switch (w->watch->ready(w->watch->ctx, w->watch->fd)) {
	case SPORE_WATCH_ON:
		watch_again(w);
		return;
	case SPORE_WATCH_LATER:
		(void)event_add(w->later, &soon);
		return;
	default:
		return;
	}
}

static err_t watch_start(struct event_base *base, const struct spore_watch *watch,
			 struct watching *ret, struct diag *d)
{
	*ret = (struct watching){ .watch = watch,
				  .polled = !for_epoll(watch->fd) };
	ret->ready = event_new(base, watch->fd, EV_READ, on_watch, ret);
	ret->later = evtimer_new(base, on_watch, ret);
	if (ret->ready == NULL || ret->later == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	watch_again(ret);
	return OK;
}

static err_t run(struct event_base *base, const struct spore_watch *watches, size_t n,
		 struct watching *w, struct diag *d)
{
	for (size_t i = 0; i < n; i++)
		TRY(watch_start(base, &watches[i], &w[i], d));
	if (event_base_dispatch(base) < 0)
		return diag_sys(d, FAIL_SYS(errno), "server: event loop");
	return OK;
}

err_t watches_run(struct event_base *base, const struct spore_watch *watches, size_t n,
		  struct diag *d)
{
	struct watching w[WATCHES_MAX] = { { .watch = NULL } };
	err_t e;

	if (n > WATCHES_MAX)
		return diag_fail(d, FAIL(ERR_USAGE), "server: %zu watches, expected at most %d", n,
				 WATCHES_MAX);
	e = run(base, watches, n, w, d);
	for (size_t i = 0; i < n; i++) {
		if (w[i].ready != NULL)
			event_free(w[i].ready);
		if (w[i].later != NULL)
			event_free(w[i].later);
	}
	return e;
}
