/* SPDX-License-Identifier: Apache-2.0 */
/* For how long a worker's answer is waited for: a minute, and for as long as copying may take, but not for
 * ever. A guest says how large its disks are, and its worker may be in its hands. */
#include <poll.h>

#include "life/worker_parts.h"

enum {
	ANSWER_MS = 60000,
	MOST_MS = 10 * 60000,
	COPY_BYTES_PER_MS = 16 << 10, /* at least, on a slow disk */
	GLANCE_MS = 200,              /* until it is seen that nobody waits any more */
};

uint32_t worker_bytes_ms(bytes_t copied)
{
	uint64_t ms = ANSWER_MS + copied.v / COPY_BYTES_PER_MS;

	return ms < MOST_MS ? (uint32_t)ms : MOST_MS;
}

/* All of its memory may have to be copied, and for a branch what its disks have in layers: those it was
 * spawned over, and its own. */
uint32_t worker_copy_ms(const struct zygote *of, const struct zygote_layers *own, bool branch)
{
	uint64_t bytes = geometry_ram(image_geometry(of->image)).v;

	for (uint32_t i = 0; branch && i < SHAPE_DEVICES_MAX; i++)
		if (of->disks[i] != NULL && disk_base_mode(of->disks[i]) != DISK_RO)
			bytes += disk_base_held(of->disks[i]).v;
	for (uint32_t i = 0; branch && i < own->n; i++)
		bytes += disk_file_held(own->fd[i].raw).v;
	return worker_bytes_ms(BYTES(bytes));
}

static bool is_readable(int socket, uint64_t ms)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };

	return poll(&p, 1, ms < GLANCE_MS ? (int)ms : GLANCE_MS) > 0;
}

err_t worker_wait(struct worker *w, struct diag *d)
{
	uint64_t began = worker_clock_ms(), waited = 0;
	bool heard = false;

	while (!heard && !w->hurried && waited < w->wait_ms) {
		heard = is_readable(w->socket.raw, w->wait_ms - waited);
		waited = worker_clock_ms() - began;
	}
	patience_spend(&w->patience, w->last, waited);
	w->wait_ms -= waited < w->wait_ms ? (uint32_t)waited : w->wait_ms;
	if (!heard && w->hurried)
		return diag_fail(d, FAIL(ERR_STATE), "its worker has not answered, and nobody waits for it "
				 "any more");
	return OK;
}

void worker_hurry(struct worker *w)
{
	w->hurried = true;
}
