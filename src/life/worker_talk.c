/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's process, and questions and answers. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/heap.h"
#include "base/text.h"
#include "life/worker_parts.h"
#include "machine/jail/death.h"

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
	heir_copies_drop(&w->copies);
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

err_t worker_new(struct diag *d, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof *w);

	if (w == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "worker: out of memory");
	w->socket = w->child.pidfd = w->board.memfd = w->board.event = FD_NONE;
	w->patience = patience_new(0);
	w->last = WORKER_SHELL; /* the first that is asked */
	*ret = w;
	return OK;
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

uint64_t worker_clock_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static err_t wait_for_word(struct worker *w)
{
	struct pollfd p = { .fd = w->socket.raw, .events = POLLIN };
	uint64_t began = worker_clock_ms(), now = began;
	int n;

	do {
		uint64_t waited = now - began;

		n = poll(&p, 1, waited < w->wait_ms ? (int)(w->wait_ms - waited) : 0);
		now = worker_clock_ms();
	} while (n < 0 && errno == EINTR);
	patience_spend(&w->patience, w->last, now - began);
	return n == 0 ? FAIL_SYS(EAGAIN) : OK;
}

/* That there is no room here for its descriptors does not make it one that lies. */
static err_t receive(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	err_t e;

	TRY(wait_for_word(w));
	e = link_receive(w->socket.raw, d, in);
	if (failed(e) && !in->cut)
		return e;
	if (in->len == 0)
		return OK;
	e = worker_say_parse(cur_of(in->bytes, in->len), d, ret);
	if (failed(e))
		link_drop(in);
	else
		text_clean(ret->text, sizeof w->why.text); /* once, for all who pass it on */
	return e;
}

static void note_failure(struct worker *w, err_t e, const struct diag *nonsense)
{
	if (w->outcome != VM_NONE)
		return;
	w->outcome = VM_ERROR;
	if (e.sys != EAGAIN)
		ignore(diag_fail(&w->why, e, "its worker does not say what a worker says: %.300s",
				 nonsense->text));
	else if (patience_is_spent(&w->patience))
		ignore(diag_fail(&w->why, e, "its worker answers too late, again and again"));
	else
		ignore(diag_fail(&w->why, e, "its worker does not answer"));
}

err_t worker_hear(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	struct diag nonsense = DIAG_INIT;
	err_t e = receive(w, &nonsense, in, ret);

	if (failed(e))
		note_failure(w, e, &nonsense);
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

err_t worker_lied(struct worker *w, uint32_t serial, struct diag *d)
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

err_t worker_answer(struct worker *w, struct diag *d, struct link_in *in, struct worker_say *ret)
{
	TRY(worker_hear(w, d, in, ret));
	/* It says that instead of an answer, and goes. */
	if (ret->kind == WORKER_ENDED)
		return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s",
				 vm_outcome_text(w->outcome));
	if (ret->serial != w->asked - w->pending + 1) {
		link_drop(in);
		return worker_lied(w, ret->serial, d);
	}
	w->pending--;
	if (ret->kind == WORKER_DONE)
		return in->cut ? diag_sys(d, FAIL_SYS(EMFILE), "receiving what a worker has made") : OK;
	link_drop(in);
	return diag_fail(d, (err_t){ (enum err_code)ret->code, ret->sys }, "%s", ret->text);
}

err_t worker_answer_plain(struct worker *w, struct diag *d, uint32_t *ret_value)
{
	struct link_in in;
	struct worker_say s;

	TRY(worker_answer(w, d, &in, &s));
	link_drop(&in);
	if (ret_value != NULL)
		*ret_value = s.value;
	return OK;
}

err_t worker_ready(struct worker *w, struct diag *d)
{
	err_t first = OK;

	while (w->pending > 0) {
		err_t e = worker_answer_plain(w, failed(first) ? NULL : d, NULL);

		first = failed(first) ? first : e;
	}
	if (failed(first) && !w->spawned) {
		/* Whatever came of a zygote's arrival, it is sent again. */
		zygote_free(w->primed);
		w->primed = NULL;
	}
	return first;
}

/* There is always room for more than is asked before one waits for its answers. */
static err_t does_not_listen(struct worker *w)
{
	if (w->outcome == VM_NONE) {
		w->outcome = VM_ERROR;
		ignore(diag_fail(&w->why, FAIL(ERR_REMOTE), "its worker does not read what it is asked"));
	}
	end_now(w);
	return FAIL(ERR_REMOTE);
}

err_t worker_send(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n)
{
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);
	err_t e;

	a->serial = w->asked + 1;
	worker_ask_encode(&o, a);
	TRY(out_done(&o));
	e = link_send_now(w->socket.raw, o.base, o.len, fds, n, NULL);
	if (e.sys == EAGAIN)
		return does_not_listen(w);
	if (failed(e) && e.code != ERR_REMOTE)
		return e;
	w->asked++;
	w->pending++;
	w->last = a->kind;
	w->wait_ms = patience_for(&w->patience, a->kind, worker_clock_ms());
	return e;
}

err_t worker_ask(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n,
		 struct diag *d)
{
	err_t e = worker_send(w, a, fds, n);

	if (failed(e) && e.code != ERR_REMOTE)
		return diag_sys(d, e, "asking a worker");
	if (!failed(e))
		return OK;
	e = worker_ready(w, d);
	return failed(e) ? e : gone(w, d);
}
