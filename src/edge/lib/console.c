/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* poll says that a pipe takes at least this much without blocking (PIPE_BUF, pipe(7)). */
enum { CHUNK = 4096, PATIENCE_MS = 20 };

err_t console_init(struct console *c, const struct spore_machine_options *o, struct diag *d)
{
	*c = (struct console){ .event = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) },
			       .callback = o->console, .ctx = o->ctx, .armed = true };
	atomic_init(&c->out_fd, o->console_fd);
	if (c->event.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "console: eventfd");
	c->kept = malloc(CONSOLE_KEPT);
	if (c->kept == NULL) {
		fd_drop(&c->event);
		return diag_fail(d, FAIL(ERR_NOMEM), "console: out of memory");
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	return OK;
}

void console_fini(struct console *c)
{
	fd_drop(&c->event);
	free(c->kept);
	(void)pthread_mutex_destroy(&c->lock);
}

static void keep(struct console *c, const uint8_t *bytes, size_t n)
{
	bool wake;

	(void)pthread_mutex_lock(&c->lock);
	for (size_t done = 0; done < n;) {
		size_t at = (size_t)(c->total % CONSOLE_KEPT);
		size_t part = n - done < CONSOLE_KEPT - at ? n - done : CONSOLE_KEPT - at;

		memcpy(c->kept + at, bytes + done, part);
		done += part;
		c->total += part;
	}
	wake = c->armed;
	c->armed = false;
	(void)pthread_mutex_unlock(&c->lock);
	if (wake)
		(void)eventfd_write(c->event.raw, 1);
}

/* Waits for the reader in short turns, so that a pause is never held up by it. */
static bool writable(struct console *c, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	for (;;) {
		int n = poll(&p, 1, atomic_load(&c->hurry) ? 0 : PATIENCE_MS);

		if (n > 0)
			return true;
		if (n == 0 && atomic_load(&c->hurry))
			return false;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static void pass_on(struct console *c, const uint8_t *bytes, size_t n)
{
	int fd = atomic_load(&c->out_fd);

	while (fd >= 0 && n != 0 && writable(c, fd)) {
		ssize_t w = write(fd, bytes, n < CHUNK ? n : CHUNK);

		if (w < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (w < 0) {
			atomic_store(&c->out_fd, -1);
			return;
		}
		bytes += w;
		n -= (size_t)w;
	}
}

void console_write(void *console, const uint8_t *bytes, size_t n)
{
	struct console *c = console;

	keep(c, bytes, n);
	pass_on(c, bytes, n);
	if (c->callback != NULL)
		c->callback(c->ctx, bytes, n);
}

void console_hurry(struct console *c)
{
	atomic_store(&c->hurry, true);
}

void console_calm(struct console *c)
{
	atomic_store(&c->hurry, false);
}

size_t console_read(struct console *c, uint64_t from, void *ret_bytes, size_t cap,
		    uint64_t *ret_from)
{
	uint64_t oldest;
	size_t n;

	(void)pthread_mutex_lock(&c->lock);
	oldest = c->total > CONSOLE_KEPT ? c->total - CONSOLE_KEPT : 0;
	if (from < oldest)
		from = oldest;
	if (from > c->total)
		from = c->total;
	n = c->total - from < cap ? (size_t)(c->total - from) : cap;
	for (size_t done = 0; done < n;) {
		size_t at = (size_t)((from + done) % CONSOLE_KEPT);
		size_t part = n - done < CONSOLE_KEPT - at ? n - done : CONSOLE_KEPT - at;

		memcpy((uint8_t *)ret_bytes + done, c->kept + at, part);
		done += part;
	}
	if (from + n == c->total && !c->armed) {
		eventfd_t count;

		(void)eventfd_read(c->event.raw, &count);
		c->armed = true;
	}
	(void)pthread_mutex_unlock(&c->lock);
	*ret_from = from;
	return n;
}
