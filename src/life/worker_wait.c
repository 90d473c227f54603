/* SPDX-License-Identifier: Apache-2.0 */
/* For how long a worker's answer is waited for: a minute, and for as long as copying may take, but not for
 * ever. A guest says how large its disks are, and its worker may be in its hands. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "life/worker_parts.h"

enum {
	ANSWER_MS = 60000,
	MOST_MS = 10 * 60000,
	COPY_BYTES_PER_MS = 16 << 10, /* at least, on a slow disk */
	GLANCE_MS = 200,              /* until it is seen that nobody waits any more */
};

int worker_bytes_ms(bytes_t copied)
{
	uint64_t ms = ANSWER_MS + copied.v / COPY_BYTES_PER_MS;

	return ms < MOST_MS ? (int)ms : MOST_MS;
}

/* All of its memory may have to be copied, and for a branch what its disks have in layers: those it was
 * spawned over, and its own. */
int worker_copy_ms(const struct zygote *of, const struct zygote_layers *own, bool branch)
{
	uint64_t bytes = geometry_ram(image_geometry(of->image)).v;

	for (uint32_t i = 0; branch && i < SHAPE_DEVICES_MAX; i++)
		if (of->disks[i] != NULL && disk_base_mode(of->disks[i]) != DISK_RO)
			bytes += disk_base_held(of->disks[i]).v;
	for (uint32_t i = 0; branch && i < own->n; i++)
		bytes += disk_file_held(own->fd[i].raw).v;
	return worker_bytes_ms(BYTES(bytes));
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_readable(int socket, int64_t ms)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };

	return poll(&p, 1, ms < GLANCE_MS ? (int)ms : GLANCE_MS) > 0;
}

/* One that has had its time has nothing more to wait for: to hear it finds that it does not answer. */
err_t worker_wait(struct worker *w, int ms, struct diag *d)
{
	const struct timeval none = { 0, 1 };
	int64_t until = now_ms() + ms, left;

	while ((left = until - now_ms()) > 0 && !w->hurried)
		if (is_readable(w->socket.raw, left))
			return OK;
	if (w->hurried)
		return diag_fail(d, FAIL(ERR_STATE), "its worker has not answered, and nobody waits for it "
				 "any more");
	(void)setsockopt(w->socket.raw, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	return OK;
}

err_t worker_wait_shortly(struct worker *w, struct diag *d)
{
	return worker_wait(w, ANSWER_MS, d);
}

void worker_hurry(struct worker *w)
{
	w->hurried = true;
}
