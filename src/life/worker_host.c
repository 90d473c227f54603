/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_host.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/heap.h"
#include "life/worker_link.h"
#include "life/zygote_parts.h"
#include "machine/jail/death.h"

/* Answers to another supervisor's questions, of which there were only a few at a time. */
enum { LEFT_OVER_MOST = 64, CATCH_UP_MS = 60000 };
enum { FREEZE_BYTES_PER_MS = 16 << 10 }; /* a zygote is copied at least so fast, on a slow disk */

struct worker {
	struct worker_kit *kit;
	struct zygote_layers layers; /* that its disks write to, until a zygote has them */
	struct born child;
	fd_t socket;
	struct board board;
	uint32_t asked;        /* the last question's number; the one before all has 0 */
	uint32_t pending;      /* asked and not yet answered */
	struct zygote *primed; /* a reference; NULL: none yet */
	bool spawned;          /* from that */
	bool gone;             /* the process has ended and was waited for */
	enum vm_outcome outcome;
	struct diag why;
};

/* ---- the process ---- */

static err_t words_of(struct death how, struct diag *d)
{
	const err_t e = FAIL(ERR_INTERNAL);

	if (how.kind == DEATH_UNKNOWN)
		return diag_fail(d, e, "its worker ended; how is not known, as it was another "
				 "supervisor's child");
	if (how.kind == DEATH_SIGNAL && how.number == SIGSYS)
		return diag_fail(d, e, "its worker was killed for a system call that it may not make "
				 "(SIGSYS)");
	if (how.kind == DEATH_SIGNAL)
		return diag_fail(d, e, "its worker was killed by signal %d (SIG%s)", how.number,
				 sigabbrev_np(how.number));
	if (how.number == 127)
		return diag_fail(d, e, "its worker could not be started");
	return diag_fail(d, e, "its worker ended by itself, with status %d", how.number);
}

static void wait_for_death(struct worker *w)
{
	struct death how;

	if (w->gone || !fd_is_open(w->child.pidfd))
		return;
	how = death_wait(w->child.pidfd.raw);
	w->gone = true;
	if (w->outcome != VM_NONE)
		return;
	w->outcome = VM_ERROR;
	ignore(words_of(how, &w->why));
}

void worker_kill(struct worker *w)
{
	if (fd_is_open(w->child.pidfd) && !w->gone)
		(void)syscall(SYS_pidfd_send_signal, w->child.pidfd.raw, SIGKILL, NULL, 0);
}

void worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	worker_kill(w);
	wait_for_death(w);
	fd_drop(&w->child.pidfd);
	fd_drop(&w->socket); /* with what it may have sent */
	if (w->kit != NULL)
		worker_kit_layers_back(w->kit, &w->layers);
	board_drop(&w->board);
	zygote_free(w->primed);
	free(w);
}

/* One that hangs up and stays, or does not keep to what was agreed, is not waited for. */
static void end_now(struct worker *w)
{
	worker_kill(w);
	wait_for_death(w);
	w->pending = 0;
}

/* ---- asking ---- */

static err_t gone(const struct worker *w, struct diag *d)
{
	return diag_fail(d, FAIL(ERR_REMOTE), "%s",
			 w->why.text[0] != '\0' ? w->why.text : "its worker is gone");
}

static void note_end(struct worker *w, const struct worker_say *s)
{
	if (w->outcome != VM_NONE)
		return;
	w->outcome = s->value == VM_NONE ? VM_ERROR : (enum vm_outcome)s->value;
	ignore(diag_fail(&w->why, FAIL(ERR_INTERNAL), "%s", s->text));
	w->pending = 0;
}

static err_t receive(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	err_t e;

	TRY(link_receive(w->socket.raw, d, in));
	if (in->len == 0)
		return OK;
	e = worker_say_parse(cur_of(in->bytes, in->len), d, ret);
	if (failed(e))
		link_drop(in);
	return e;
}

/* One message. OK without one when it was the machine's end. */
static err_t hear(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	struct diag nonsense = DIAG_INIT;
	err_t e = receive(w, &nonsense, in, ret);

	if (failed(e) && w->outcome == VM_NONE) {
		w->outcome = VM_ERROR;
		ignore(e.sys == EAGAIN ? diag_fail(&w->why, e, "its worker does not answer")
		       : diag_fail(&w->why, e, "its worker does not say what a worker says: %.300s",
				   nonsense.text));
	}
	if (failed(e) || in->len == 0) {
		end_now(w);
		return gone(w, d);
	}
	if (ret->kind == WORKER_ENDED) {
		link_drop(in);
		note_end(w, ret);
	}
	return OK;
}

static err_t lied(struct worker *w, uint32_t serial, struct diag *d)
{
	if (w->outcome == VM_NONE) {
		w->outcome = VM_ERROR;
		ignore(diag_fail(&w->why, FAIL(ERR_REMOTE), "its worker does not say what a worker says: "
				 "it answers question %" PRIu32 " when it was asked %" PRIu32, serial,
				 w->asked - w->pending + 1));
	}
	end_now(w);
	return gone(w, d);
}

/* The answer to what was asked first of all that is pending. */
static err_t answer(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	TRY(hear(w, d, in, ret));
	/* It says that instead of an answer, and goes. */
	if (ret->kind == WORKER_ENDED)
		return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s",
				 vm_outcome_text(w->outcome));
	if (ret->serial != w->asked - w->pending + 1) {
		link_drop(in);
		return lied(w, ret->serial, d);
	}
	w->pending--;
	if (ret->kind == WORKER_DONE)
		return OK;
	link_drop(in);
	return diag_fail(d, (err_t){ (enum err_code)ret->code, ret->sys }, "%s", ret->text);
}

/* One without descriptors in its answer. */
static err_t answer_plain(struct worker *w, struct diag *d, uint32_t *ret_value)
{
	struct link_in in;
	struct worker_say s;

	TRY(answer(w, d, &in, &s));
	link_drop(&in);
	if (ret_value != NULL)
		*ret_value = s.value;
	return OK;
}

err_t worker_ready(struct worker *w, struct diag *d)
{
	err_t first = OK;

	while (w->pending > 0) {
		err_t e = answer_plain(w, failed(first) ? NULL : d, NULL);

		first = failed(first) ? first : e;
	}
	if (failed(first) && !w->spawned) {
		/* Whatever came of a zygote's arrival, it is sent again. */
		zygote_free(w->primed);
		w->primed = NULL;
	}
	return first;
}

static err_t send(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n)
{
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);
	err_t e;

	a->serial = w->asked + 1;
	worker_ask_encode(&o, a);
	TRY(out_done(&o));
	e = link_send(w->socket.raw, o.base, o.len, fds, n, NULL);
	if (failed(e) && e.code != ERR_REMOTE)
		return e;
	w->asked++;
	w->pending++;
	return e;
}

/* What it said before it went is why it cannot be asked. */
static err_t ask(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n,
		 struct diag *d)
{
	err_t e = send(w, a, fds, n);

	if (failed(e) && e.code != ERR_REMOTE)
		return diag_sys(d, e, "asking a worker");
	if (!failed(e))
		return OK;
	e = worker_ready(w, d);
	return failed(e) ? e : gone(w, d);
}

static err_t do_one(struct worker *w, enum worker_ask_kind kind, struct diag *d)
{
	struct worker_ask a = { .kind = kind };

	TRY(worker_ready(w, d));
	TRY(ask(w, &a, NULL, 0, d));
	return answer_plain(w, d, NULL);
}

static err_t prime(struct worker *w, struct zygote *z, struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_PRIME };
	struct zygote_files files;

	TRY(zygote_pack(z, d, &files));
	TRY(ask(w, &a, files.fd, files.n, d));
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
	return ask(w, &a, fds, n, d);
}

static err_t start(struct worker *w, struct zygote *z, struct diag *d)
{
	TRY(board_new(d, &w->board));
	TRY(worker_kit_bear(w->kit, d, &w->child, &w->socket));
	w->pending = 1; /* it says that it is confined */
	TRY(send_shell_files(w, w->board.memfd.raw, d));
	return z == NULL ? OK : prime(w, z, d);
}

static err_t worker_new(struct diag *d, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof *w);

	if (w == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "worker: out of memory");
	w->socket = w->child.pidfd = w->board.memfd = w->board.event = FD_NONE;
	*ret = w;
	return OK;
}

err_t worker_start(struct worker_kit *k, struct zygote *z, struct diag *d,
		   struct worker **ret_worker)
{
	struct worker *w;
	err_t e;

	TRY(worker_new(d, &w));
	w->kit = k;
	e = start(w, z, d);
	if (failed(e)) {
		worker_free(w);
		return e;
	}
	*ret_worker = w;
	return OK;
}

/* ---- from one supervisor to the next ---- */

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

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What it answers to what we ask, and not to what it was asked before; what it had made for that is
 * gone. One that has ended cannot be asked, but may have said how. */
static err_t catch_up(struct worker *w, struct diag *d, uint32_t *ret_state)
{
	struct worker_ask a = { .kind = WORKER_STATE };
	uint64_t until = now_ms() + CATCH_UP_MS;
	struct worker_say s = { .serial = 0 };
	struct link_in in;
	err_t e;

	if (getrandom(&w->asked, sizeof w->asked, 0) != sizeof w->asked)
		return diag_sys(d, FAIL_SYS(errno), "worker: a random number");
	e = send(w, &a, NULL, 0);
	if (failed(e) && e.code != ERR_REMOTE)
		return diag_sys(d, e, "asking a worker");
	for (int i = 0; i < LEFT_OVER_MOST && now_ms() < until; i++) {
		TRY(hear(w, d, &in, &s));
		if (w->outcome != VM_NONE)
			return OK;
		link_drop(&in);
		*ret_state = s.value;
		if (s.serial == w->asked && s.kind == WORKER_DONE) {
			w->pending = 0;
			return OK;
		}
	}
	return lied(w, s.serial, d);
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
		ignore(lied(w, w->asked, d));
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

struct zygote *worker_zygote(const struct worker *w)
{
	return w->primed;
}

/* ---- a machine's life ---- */

static err_t spawn_from(struct worker *w, struct zygote *z, const struct identity *id, bool run,
			struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_SPAWN, .clock = (uint32_t)id->clock, .run = run };

	TRY(worker_ready(w, d));
	if (w->primed != z)
		TRY(prime(w, z, d));
	if (id->name != NULL)
		memcpy(a.name, id->name, strnlen(id->name, sizeof a.name - 1));
	TRY(ask(w, &a, NULL, 0, d));
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

err_t worker_claim(struct worker *w, const struct identity *id, struct diag *d)
{
	struct worker_ask a = { .kind = WORKER_RESUME, .clock = (uint32_t)id->clock };

	TRY(worker_ready(w, d));
	if (id->name != NULL)
		memcpy(a.name, id->name, strnlen(id->name, sizeof a.name - 1));
	TRY(ask(w, &a, NULL, 0, d));
	return answer_plain(w, d, NULL);
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
	TRY(ask(w, &a, NULL, 0, d));
	TRY(answer_plain(w, d, &taken));
	*ret_taken = taken < a.n_input ? taken : a.n_input;
	return OK;
}

/* All of its memory and disks may have to be copied. */
static void wait_long(const struct worker *w)
{
	uint64_t bytes = geometry_ram(image_geometry(w->primed->image)).v, ms;
	struct pollfd p = { .fd = w->socket.raw, .events = POLLIN };

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		if (w->primed->disks[i] != NULL)
			bytes += disk_base_capacity(w->primed->disks[i]).v;
	ms = bytes / FREEZE_BYTES_PER_MS;
	while (poll(&p, 1, ms < INT_MAX ? (int)ms : INT_MAX) < 0 && errno == EINTR)
		;
}

/* The memfds that the answer's zygote is made in, then files for layers. */
static err_t ask_for_zygote(struct worker *w, enum worker_ask_kind kind, struct zygote_layers *layers,
			    struct diag *d)
{
	struct worker_ask a = { .kind = kind };
	owned_fd layer = FD_NONE, state = FD_NONE;
	int fds[2 + 2 * SHAPE_DEVICES_MAX];

	TRY(worker_ready(w, d));
	if (w->primed == NULL)
		return diag_fail(d, FAIL(ERR_STATE), "a worker without a machine has nothing to freeze");
	TRY(ram_memfd_new(geometry_ram(image_geometry(w->primed->image)), d, &layer));
	TRY(zygote_file_new(d, &state));
	zygote_layers_drop(&w->layers);
	fds[0] = layer.raw;
	fds[1] = state.raw;
	for (uint32_t i = 0; i < layers->n; i++)
		fds[2 + i] = layers->raw[i];
	return ask(w, &a, fds, 2 + layers->n, d);
}

static err_t answer_zygote(struct worker *w, struct diag *d, struct zygote **ret_zygote,
			   uint32_t *ret_value)
{
	struct link_in in;
	struct worker_say s;
	struct zygote *z;
	err_t e;

	wait_long(w);
	TRY(answer(w, d, &in, &s));
	TRY(zygote_unpack(in.fd, in.n, d, &z));
	e = zygote_check_heir(z, w->primed, d);
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
	TRY(answer_zygote(w, d, ret_zygote, &value));
	w->outcome = VM_STOPPED;
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
	TRY(answer_zygote(w, d, ret_zygote, &value));
	*ret_pause_ns = (uint64_t)value * 1000;
	return OK;
}

enum vm_outcome worker_outcome(struct worker *w, struct diag *d)
{
	struct pollfd p = { .fd = w->socket.raw, .events = POLLIN };
	struct link_in in;
	struct worker_say s;

	if (w->outcome == VM_NONE && w->pending == 0 && poll(&p, 1, 0) == 1 &&
	    !failed(hear(w, NULL, &in, &s)) && s.kind != WORKER_ENDED)
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
