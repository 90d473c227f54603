/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_host.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "life/worker_parts.h"

/* ---- its start ---- */

static err_t prime(struct worker *w, struct zygote *z, struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_PRIME };
	struct zygote_files files;

	TRY(zygote_lend(z, d, &files));
	TRY(worker_ask(w, &a, files.fd, files.n, d));
	zygote_free(w->primed);
	w->primed = zygote_again(z);
	return OK;
}

/* Files are opened here: a worker can open none. */
static err_t send_shell_files(struct worker *w, int board, struct diag *d)
{
	struct worker_kit *k = w->kit;
	int fds[4 + SHAPE_DEVICES_MAX] = { worker_kit_kvm(k), board, w->board.event.raw };
	struct worker_ask a = { .kind = WORKER_SHELL };
	uint32_t n = 3;

	TRY(worker_kit_layers_new(k, d, &w->layers));
	for (uint32_t i = 0; i < w->layers.n; i++)
		fds[n++] = w->layers.raw[i];
	if (worker_kit_faults(k) >= 0)
		fds[n++] = worker_kit_faults(k);
	return worker_ask(w, &a, fds, n, d);
}

static err_t start(struct worker *w, struct zygote *z, struct diag *d)
{
	TRY(board_new(d, &w->board));
	TRY(worker_kit_bear(w->kit, d, &w->child, &w->socket));
	w->pending = 1; /* it says that it is confined */
	TRY(send_shell_files(w, w->board.memfd.raw, d));
	return z == NULL ? OK : prime(w, z, d);
}

err_t worker_start(struct worker_kit *k, struct zygote *z, struct diag *d,
		   struct worker **ret_worker)
{
	struct worker *w;
	err_t e;

	TRY(worker_new(d, &w));
	w->kit = k;
	w->patience = patience_new(worker_kit_patience_ms(k));
	e = start(w, z, d);
	if (failed(e)) {
		worker_free(w);
		return e;
	}
	*ret_worker = w;
	return OK;
}

/* ---- a machine's life ---- */

static err_t do_one(struct worker *w, enum worker_ask_kind kind, struct diag *d)
{
	struct worker_ask a = { .kind = kind };

	TRY(worker_ready(w, d));
	TRY(worker_ask(w, &a, NULL, 0, d));
	TRY(worker_wait(w, d));
	return worker_answer_plain(w, d, NULL);
}

static err_t spawn_from(struct worker *w, struct zygote *z, const struct identity *id, bool run,
			struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_SPAWN, .clock = (uint32_t)id->clock, .run = run };

	TRY(worker_ready(w, d));
	if (w->primed != z)
		TRY(prime(w, z, d));
	if (id->name != NULL)
		memcpy(a.name, id->name, strnlen(id->name, sizeof a.name - 1));
	TRY(worker_ask(w, &a, NULL, 0, d));
	TRY(worker_ready(w, d));
	w->spawned = true;
	return OK;
}

/* Files that the child is given are opened here: it can open none. */
err_t worker_spawn(struct worker *w, struct zygote *z, const struct identity *id, bool run,
		   struct diag *d)
{
	struct zygote *own;
	err_t e;

	TRY(zygote_for(z, id, d, &own));
	e = spawn_from(w, own, id, run, d);
	zygote_free(own);
	return e;
}

err_t worker_claim(struct worker *w, const struct identity *id, bool run, struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_CLAIM, .clock = (uint32_t)id->clock, .run = run };

	TRY(worker_ready(w, d));
	if (id->name != NULL)
		memcpy(a.name, id->name, strnlen(id->name, sizeof a.name - 1));
	TRY(worker_ask(w, &a, NULL, 0, d));
	return worker_answer_plain(w, d, NULL);
}

err_t worker_pause(struct worker *w, struct diag *d)
{
	return do_one(w, WORKER_PAUSE, d);
}

err_t worker_resume(struct worker *w, struct diag *d)
{
	return do_one(w, WORKER_RESUME, d);
}

err_t worker_input(struct worker *w, const uint8_t *bytes, size_t n, struct diag *d,
		   size_t *ret_taken)
{
	struct worker_ask a = { .kind = WORKER_INPUT,
				.n_input = (uint32_t)(n < WORKER_INPUT_MAX ? n : WORKER_INPUT_MAX) };
	uint32_t taken;

	memcpy(a.input, bytes, a.n_input);
	TRY(worker_ready(w, d));
	TRY(worker_ask(w, &a, NULL, 0, d));
	TRY(worker_answer_plain(w, d, &taken));
	*ret_taken = taken < a.n_input ? taken : a.n_input;
	return OK;
}

/* The memfds that the answer's zygote is made in, then files for layers. */
static err_t ask_for_zygote(struct worker *w, enum worker_ask_kind kind, struct zygote_layers *layers,
			    struct diag *d)
{
	struct worker_ask a = { .kind = kind };
	owned_fd layer = FD_NONE, state = FD_NONE;
	int fds[2 + 2 * SHAPE_DEVICES_MAX];
	uint32_t wait_ms;

	TRY(worker_ready(w, d));
	if (w->primed == NULL)
		return diag_fail(d, FAIL(ERR_STATE), "a worker without a machine has nothing to freeze");
	TRY(ram_memfd_new(geometry_ram(image_geometry(w->primed->image)), d, &layer));
	TRY(zygote_file_new(d, &state));
	wait_ms = worker_copy_ms(w->primed, &w->layers, kind == WORKER_BRANCH);
	zygote_layers_drop(&w->layers);
	fds[0] = layer.raw;
	fds[1] = state.raw;
	for (uint32_t i = 0; i < layers->n; i++)
		fds[2 + i] = layers->raw[i];
	TRY(worker_ask(w, &a, fds, 2 + layers->n, d));
	w->wait_ms = wait_ms;
	return OK;
}

/* `copies`: the worker goes on. */
static err_t answer_zygote(struct worker *w, struct heir_copies *copies, struct diag *d,
			   struct zygote **ret_zygote, uint32_t *ret_value)
{
	struct link_in in;
	struct worker_say s;
	struct zygote *z;
	err_t e;

	TRY(worker_wait(w, d));
	TRY(worker_answer(w, d, &in, &s));
	TRY(zygote_unpack_heir(in.fd, in.n, w->primed, d, &z));
	e = heir_take(z, w->primed, copies, d);
	if (!failed(e))
		e = zygote_settle(z, NULL, d);
	if (failed(e)) {
		zygote_free(z);
		return e;
	}
	*ret_zygote = z;
	*ret_value = s.value;
	return OK;
}

err_t worker_freeze(struct worker *w, struct diag *d, struct zygote **ret_zygote)
{
	struct zygote_layers none = { .n = 0 };
	uint32_t value;

	TRY(ask_for_zygote(w, WORKER_FREEZE, &none, d));
	TRY(answer_zygote(w, NULL, d, ret_zygote, &value));
	w->outcome = VM_STOPPED;
	(*ret_zygote)->maker = (fd_t){ fcntl(w->child.pidfd.raw, F_DUPFD_CLOEXEC, 0) };
	if (!fd_is_open((*ret_zygote)->maker))
		worker_kill(w);
	return OK;
}

err_t worker_branch(struct worker *w, struct diag *d, struct zygote **ret_zygote,
		    uint64_t *ret_pause_ns)
{
	struct zygote_layers layers = { .n = 0 };
	uint32_t value;
	err_t e;

	if (w->primed == NULL)
		return diag_fail(d, FAIL(ERR_STATE), "a worker without a machine has nothing to branch");
	/* One for what is written from now on, one for what may have to be merged. */
	e = zygote_layers_new(w->primed, true, d, &layers);
	if (!failed(e))
		e = zygote_layers_new(w->primed, true, d, &layers);
	if (!failed(e))
		e = ask_for_zygote(w, WORKER_BRANCH, &layers, d);
	zygote_layers_drop(&layers);
	TRY(e);
	TRY(answer_zygote(w, &w->copies, d, ret_zygote, &value));
	*ret_pause_ns = (uint64_t)value * 1000;
	return OK;
}

enum vm_outcome worker_outcome(struct worker *w, struct diag *d)
{
	struct pollfd p = { .fd = w->socket.raw, .events = POLLIN };
	struct link_in in;
	struct worker_say s;

	if (w->outcome == VM_NONE && w->pending == 0 && poll(&p, 1, 0) == 1 &&
	    !failed(worker_hear(w, NULL, &in, &s)) && s.kind != WORKER_ENDED)
		link_drop(&in); /* an answer that nobody asked for */
	if (w->outcome == VM_ERROR || w->outcome == VM_CRASH)
		ignore(diag_fail(d, FAIL(ERR_INTERNAL), "%s", w->why.text));
	return w->outcome;
}

int worker_socket(const struct worker *w)
{
	return w->socket.raw;
}

struct board *worker_board(struct worker *w)
{
	return &w->board;
}

int worker_pidfd(const struct worker *w)
{
	return w->child.pidfd.raw;
}

pid_t worker_pid(const struct worker *w)
{
	return w->child.pid;
}

struct zygote *worker_zygote(const struct worker *w)
{
	return w->primed;
}
