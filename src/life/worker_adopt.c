/* SPDX-License-Identifier: Apache-2.0 */
/* A worker from one supervisor to the next (docs/design/0021-kept-machines.md). */
#include <errno.h>
#include <sys/random.h>

#include "life/worker_parts.h"

/* Answers to another supervisor's questions, of which there were only a few at a time. It may stand in the
 * middle of one for as long as its memory takes to copy; all who wait for this supervisor wait for that, and
 * what is kept is adopted in turn. */
enum { LEFT_OVER_MOST = 64, CATCH_UP_MS = 5000, CATCH_UP_MOST_MS = 20000, COPIED_PER_MS = 256 << 10 };

err_t worker_pack(const struct worker *w, struct diag *d, int ret_fds[WORKER_FILES])
{
	if (!w->spawned || w->outcome != VM_NONE)
		return diag_fail(d, FAIL(ERR_STATE), "a worker without a machine cannot be kept");
	ret_fds[WORKER_FILE_SOCKET] = w->socket.raw;
	ret_fds[WORKER_FILE_PROCESS] = w->child.pidfd.raw;
	ret_fds[WORKER_FILE_BOARD] = w->board.memfd.raw;
	ret_fds[WORKER_FILE_EVENT] = w->board.event.raw;
	return OK;
}

static uint64_t catch_up_ms(const struct worker *w)
{
	uint64_t ms = CATCH_UP_MS + geometry_ram(image_geometry(w->primed->image)).v / COPIED_PER_MS;

	return ms < CATCH_UP_MOST_MS ? ms : CATCH_UP_MOST_MS;
}

/* What it answers to what we ask, and not to what it was asked before; what it had made for that is
 * gone. One that has ended cannot be asked, but may have said how. */
static err_t catch_up(struct worker *w, struct diag *d, uint32_t *ret_state)
{
	struct worker_ask a = { .kind = WORKER_STATE };
	uint64_t until = worker_clock_ms() + catch_up_ms(w), now;
	struct worker_say s = { .serial = 0 };
	struct link_in in;
	err_t e;

	if (getrandom(&w->asked, sizeof w->asked, 0) != sizeof w->asked)
		return diag_sys(d, FAIL_SYS(errno), "worker: a random number");
	e = worker_send(w, &a, NULL, 0);
	if (failed(e) && e.code != ERR_REMOTE)
		return diag_sys(d, e, "asking a worker");
	for (int i = 0; i < LEFT_OVER_MOST && (now = worker_clock_ms()) < until; i++) {
		if (w->outcome != VM_NONE)
			return OK;
		w->wait_ms = (uint32_t)(until - now);
		TRY(worker_hear(w, d, &in, &s));
		link_drop(&in);
		if (w->outcome != VM_NONE)
			return OK;
		*ret_state = s.value;
		if (s.serial == w->asked && s.kind == WORKER_DONE) {
			w->pending = 0;
			return OK;
		}
	}
	return worker_lied(w, s.serial, d);
}

/* It may have gone, or not be one that can be believed: that is how it ended. */
static err_t adopt(struct worker *w, struct zygote *z, struct diag *d, enum worker_state *ret_state)
{
	uint32_t state = WORKER_IS_EMPTY;
	err_t e;

	TRY(board_adopt(&w->board, d));
	w->primed = zygote_again(z);
	w->spawned = true;
	e = catch_up(w, d, &state);
	if (failed(e) && w->outcome == VM_NONE)
		return e;
	if (w->outcome == VM_NONE && (state == WORKER_IS_EMPTY || state > WORKER_IS_FROZEN))
		ignore(worker_lied(w, w->asked, d));
	*ret_state = (enum worker_state)state;
	if (d != NULL)
		*d = DIAG_INIT;
	return OK;
}

/* Its disks go on being written to their layers. */
void worker_leave(struct worker *w)
{
	w->gone = true; /* for us */
	zygote_layers_drop(&w->layers);
	worker_free(w);
}

err_t worker_adopt(fd_t fds[WORKER_FILES], struct zygote *z, struct diag *d,
		   struct worker **ret_worker, enum worker_state *ret_state)
{
	struct worker *w = NULL;
	err_t e = worker_new(d, &w);

	if (failed(e)) {
		for (int i = 0; i < WORKER_FILES; i++)
			fd_drop(&fds[i]);
		return e;
	}
	w->socket = fd_take(&fds[WORKER_FILE_SOCKET]);
	w->child.pidfd = fd_take(&fds[WORKER_FILE_PROCESS]);
	w->board.memfd = fd_take(&fds[WORKER_FILE_BOARD]);
	w->board.event = fd_take(&fds[WORKER_FILE_EVENT]);
	e = adopt(w, z, d, ret_state);
	if (failed(e)) {
		worker_leave(w); /* somebody may have more luck */
		return e;
	}
	*ret_worker = w;
	return OK;
}
