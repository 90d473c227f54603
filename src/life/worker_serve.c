/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "life/branch.h"
#include "life/parcel.h"
#include "life/spawn.h"
#include "life/worker_board.h"
#include "life/worker_link.h"
#include "life/worker_rest.h"
#include "machine/jail/filter.h"
#include "machine/ram/uffd.h"
#include "plan/image.h"

enum { SHELL_FILES = 3 }; /* that come with SHELL, before the disks' */
enum { REST_MS = 20 };    /* longer than whoever spawns takes to ask for the next thing */

/* In this order; each is there from its stage on. */
struct worker {
	int socket;
	const struct image *layout; /* shared with siblings: only read */
	const struct jail_options *jail;
	struct board board;       /* SHELL */
	fd_t page_map, branch_map; /* /proc/self/pagemap: the machine's, and ours for branches */
	fd_t uffd;                /* SHELL; FD_NONE: what was written is copied standing still */
	bool built;
	vm_shell *shell;          /* SHELL, until SPAWN */
	struct zygote *zygote;    /* PRIME; of no use after SPAWN */
	vm_paused *paused;        /* SPAWN, PAUSE */
	bool is_new;              /* it has never run */
	vm_running *running;      /* RESUME */
	struct zygote *branched;  /* of no use once its files have been sent */
	struct zygote *frozen;    /* FREEZE: all that is left, until somebody says that he has it */
	bool litter;              /* there is memory to give back */
	bool over;                /* nothing more is expected of this process */
};

/* What an ask was answered with. */
struct answer {
	uint32_t value;
	struct zygote_files files;
};

/* ---- the console and the first exit ---- */

static void on_console(void *ctx, const uint8_t *bytes, size_t n)
{
	struct worker *w = ctx;

	board_write(&w->board, bytes, n);
}

static void on_first_exit(void *ctx, uint64_t entered_ns, uint64_t exited_ns)
{
	struct worker *w = ctx;

	board_ran(&w->board, entered_ns, exited_ns);
}

static struct vm_options options_of(struct worker *w)
{
	return (struct vm_options){ .console = on_console, .first_exit = on_first_exit, .ctx = w };
}

/* ---- what is asked ---- */

static err_t wrong(const char *what, struct diag *d)
{
	return diag_fail(d, FAIL(ERR_STATE), "a worker was asked to %s at the wrong moment", what);
}

/* From here on no thread of this process can do anything that a guest could want. */
static err_t confine(struct worker *w, struct diag *d)
{
	if ((w->jail->without & JAIL_WITHOUT(JAIL_SECCOMP)) != 0)
		return OK;
	TRY(shell_confine(w->shell, d));
	return jail_filter_take(JAIL_CONTROL, d);
}

static err_t build(struct worker *w, struct link_in *in, struct diag *d)
{
	struct shell_options o = { .kvm = fd_take(&in->fd[0]), .page_map = fd_take(&w->page_map) };
	uint32_t disks = topology_disks(geometry_topology(image_geometry(w->layout)));

	if (in->n > SHELL_FILES + disks)
		ignore(uffd_open(in->fd[SHELL_FILES + disks].raw, NULL, &w->uffd));
	TRY(board_open(&in->fd[1], &in->fd[2], d, &w->board));
	TRY(shell_make(w->layout, &o, d, &w->shell));
	if (in->n < SHELL_FILES + disks)
		return wrong("build a shell", d);
	TRY(shell_give_layers(w->shell, in->fd + SHELL_FILES, disks, d));
	return confine(w, d);
}

/* A worker for which this fails has nothing to wait for, and may not be confined. */
static err_t do_shell(struct worker *w, struct link_in *in, struct diag *d)
{
	err_t e;

	if (w->built || in->n < SHELL_FILES)
		return wrong("build a shell", d);
	w->built = true;
	e = build(w, in, d);
	w->over = failed(e);
	return e;
}

static err_t do_prime(struct worker *w, struct link_in *in, struct diag *d)
{
	uint32_t n = in->n;
	struct zygote *z;

	if (w->shell == NULL)
		return wrong("take a zygote", d);
	in->n = 0; /* all of them go */
	TRY(zygote_unpack(in->fd, n, d, &z));
	zygote_is_lent(z);
	zygote_free(w->zygote);
	w->zygote = z;
	return shell_fits(w->shell, z, d);
}

static struct identity identity_of(const struct worker_ask *a)
{
	return (struct identity){ .name = a->name[0] != '\0' ? a->name : NULL,
				  .clock = (enum clock_policy)a->clock };
}

static err_t do_resume(struct worker *w, struct diag *d)
{
	if (w->frozen != NULL)
		return diag_fail(d, FAIL(ERR_STATE), "it has been frozen, and nobody has its zygote yet: "
				 "freeze it again");
	if (w->paused == NULL)
		return wrong("resume", d);
	w->is_new = false;
	return vm_resume(&w->paused, d, &w->running);
}

/* An armed machine learns only now who it is. */
static err_t do_claim(struct worker *w, const struct worker_ask *a, struct diag *d)
{
	struct identity id = identity_of(a);
	struct vm_options o = options_of(w);

	if (w->paused == NULL || !w->is_new)
		return wrong("be somebody else", d);
	vm_claim(w->paused, &id, &o);
	return a->run ? do_resume(w, d) : OK;
}

static err_t do_spawn(struct worker *w, const struct worker_ask *a, struct diag *d)
{
	struct identity id = identity_of(a);
	struct vm_options o = options_of(w);

	if (w->shell == NULL || w->zygote == NULL)
		return wrong("spawn", d);
	TRY(vm_spawn_in(&w->shell, w->zygote, &id, &o, d, &w->paused));
	w->is_new = true;
	return a->run ? do_resume(w, d) : OK;
}

static err_t do_pause(struct worker *w, struct diag *d)
{
	if (w->running == NULL)
		return wrong("pause", d);
	return vm_pause(&w->running, d, &w->paused);
}

static enum worker_state state_of(const struct worker *w)
{
	if (w->frozen != NULL)
		return WORKER_IS_FROZEN;
	if (w->running != NULL)
		return WORKER_IS_RUNNING;
	if (w->paused == NULL)
		return WORKER_IS_EMPTY;
	return w->is_new ? WORKER_IS_NEW : WORKER_IS_PAUSED;
}

static err_t do_input(struct worker *w, const struct worker_ask *a, struct answer *ret)
{
	if (w->running != NULL)
		ret->value = (uint32_t)vm_console_input(w->running, a->input, a->n_input);
	return OK;
}

static err_t do_freeze(struct worker *w, struct link_in *in, struct diag *d, struct answer *ret)
{
	if (w->frozen != NULL)
		return zygote_pack(w->frozen, d, &ret->files);
	if (w->paused == NULL || in->n != 2)
		return wrong("freeze", d);
	TRY(zygote_take(w->paused, &in->fd[0], d, &w->frozen));
	w->paused = NULL; /* good for nothing now; the process takes it with it */
	zygote_give_file(w->frozen, &in->fd[1]);
	return zygote_pack(w->frozen, d, &ret->files);
}

static err_t do_branch(struct worker *w, struct link_in *in, struct diag *d, struct answer *ret)
{
	struct branch_means m = { .ram = { w->uffd.raw, w->branch_map.raw, &in->fd[0] },
				  .layers = &in->fd[2] };
	struct branch_times times;

	if (w->running == NULL || in->n < 2 || in->n % 2 != 0)
		return wrong("branch", d);
	m.n_layers = in->n / 2 - 1;
	m.merged = m.layers + m.n_layers;
	zygote_free(w->branched); /* it has been sent */
	w->branched = NULL;
	TRY(vm_branch(&w->running, &m, d, &w->branched, &times));
	ret->value = (uint32_t)(times.pause_ns / 1000);
	zygote_give_file(w->branched, &in->fd[1]);
	return zygote_pack(w->branched, d, &ret->files);
}

static err_t act(struct worker *w, const struct worker_ask *a, struct link_in *in, struct diag *d,
		 struct answer *ret)
{
	switch (a->kind) {
	case WORKER_SHELL:
		return do_shell(w, in, d);
	case WORKER_PRIME:
		return do_prime(w, in, d);
	case WORKER_SPAWN:
		return do_spawn(w, a, d);
	case WORKER_RESUME:
		return do_resume(w, d);
	case WORKER_PAUSE:
		return do_pause(w, d);
	case WORKER_STOP:
		w->over = true;
		return OK;
	case WORKER_INPUT:
		return do_input(w, a, ret);
	case WORKER_FREEZE:
		return do_freeze(w, in, d, ret);
	case WORKER_BRANCH:
		return do_branch(w, in, d, ret);
	case WORKER_STATE:
		ret->value = state_of(w);
		return OK;
	case WORKER_CLAIM:
		return do_claim(w, a, d);
	}
	unreachable_by_type();
}

/* ---- answering ---- */

static err_t say(const struct worker *w, const struct worker_say *s, const int *fds, uint32_t n)
{
	uint8_t bytes[WORKER_SAY_MAX];
	struct out o = out_of(bytes, sizeof bytes);

	worker_say_encode(&o, s);
	TRY(out_done(&o));
	return link_send(w->socket, o.base, o.len, fds, n, NULL);
}

static void set_text(struct worker_say *s, const struct diag *d, const char *instead)
{
	(void)snprintf(s->text, sizeof s->text, "%s", d->text[0] != '\0' ? d->text : instead);
}

/* Its frame, a large one, is not to be that of who waits for the next (worker_rest). */
static __attribute__((noinline)) err_t answer_one(struct worker *w, struct link_in *in)
{
	struct diag d = DIAG_INIT;
	struct worker_say s = { .kind = WORKER_DONE };
	struct answer a = { 0 };
	struct worker_ask ask;
	err_t e = worker_ask_parse(cur_of(in->bytes, in->len), &d, &ask);

	s.serial = ask.serial;
	if (!failed(e))
		e = act(w, &ask, in, &d, &a);
	s.value = a.value;
	if (failed(e)) {
		s.kind = WORKER_FAILED;
		s.code = (uint32_t)e.code;
		s.sys = e.sys;
		set_text(&s, &d, err_text(e.code));
		a.files.n = 0;
	}
	return say(w, &s, a.files.fd, a.files.n);
}

/* The machine has ended by itself: that is said once, and all there is to do. */
static void tell_end(struct worker *w)
{
	struct diag d = DIAG_INIT;
	enum vm_outcome o = vm_outcome(w->running, &d);
	struct worker_say s = { .kind = WORKER_ENDED, .value = (uint32_t)o };

	if (o == VM_NONE)
		return;
	vm_wait_quiet(w->running);
	if (o == VM_ERROR || o == VM_CRASH)
		set_text(&s, &d, "");
	ignore(say(w, &s, NULL, 0));
	w->over = true;
}

/* Nothing has been asked of a machine for a while: it is unlikely that anybody waits for this. */
static void rest(struct worker *w)
{
	zygote_free(w->zygote);
	zygote_free(w->branched);
	w->zygote = w->branched = NULL;
	worker_rest();
	w->litter = false;
}

/* syscalls(control): poll restart_syscall */
static bool wait_for(struct worker *w, bool *ret_ask, bool *ret_end)
{
	struct pollfd p[2] = { { .fd = w->socket, .events = POLLIN },
			       { .fd = w->running != NULL ? vm_event_fd(w->running) : -1,
				 .events = POLLIN } };
	int n;

	do {
		n = poll(p, 2, w->litter ? REST_MS : -1);
		if (n == 0)
			rest(w);
	} while (n == 0 || (n < 0 && errno == EINTR));
	*ret_ask = p[0].revents != 0;
	*ret_end = p[1].revents != 0;
	return n > 0;
}

static int serve(struct worker *w)
{
	struct link_in in;

	while (!w->over) {
		bool ask, end;

		if (!wait_for(w, &ask, &end))
			return 1;
		if (end)
			tell_end(w);
		if (w->over || !ask)
			continue;
		if (failed(link_receive(w->socket, NULL, &in)) || in.len == 0)
			return 0; /* the supervisor is gone */
		if (failed(answer_one(w, &in)))
			return 1;
		/* An armed machine keeps what it has at hand. */
		w->litter = w->running != NULL || (w->paused != NULL && !w->is_new);
		link_drop(&in);
	}
	return 0;
}

/* Nothing is freed at the end: the threads that would have to end cannot, and the process takes
 * everything with it. */
int worker_serve(int socket, const struct image *layout, struct jail_options *jail)
{
	struct worker w = { .socket = socket, .layout = layout, .jail = jail, .page_map = FD_NONE,
			    .branch_map = FD_NONE, .uffd = FD_NONE };
	struct worker_say s = { .kind = WORKER_DONE };
	struct diag d = DIAG_INIT;
	int keep[3] = { socket };
	err_t e;

	/* There is no /proc later on. */
	w.page_map = (fd_t){ open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) };
	w.branch_map = (fd_t){ fcntl(w.page_map.raw, F_DUPFD_CLOEXEC, w.page_map.raw) };
	keep[1] = w.page_map.raw;
	keep[2] = w.branch_map.raw;
	jail->keep = keep;
	jail->n_keep = 3;
	e = fd_is_open(w.branch_map) ? jail_enter(jail, &d)
				   : diag_sys(&d, FAIL_SYS(errno), "opening /proc/self/pagemap");
	if (failed(e)) {
		s = (struct worker_say){ .kind = WORKER_FAILED, .code = (uint32_t)e.code,
					 .sys = e.sys };
		set_text(&s, &d, err_text(e.code));
	}
	if (failed(say(&w, &s, NULL, 0)) || failed(e))
		return 1;
	return serve(&w);
}
