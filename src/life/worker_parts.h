/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's process and what is said to it, for what is made of them. Inside worker_*.c of the supervisor's
 * side only. */
#pragma once

#include "life/heir.h"
#include "life/patience.h"
#include "life/worker_host.h"
#include "life/worker_link.h"
#include "life/zygote_parts.h"

struct worker {
	struct worker_kit *kit;
	struct zygote_layers layers; /* that its disks write to, until a zygote has them */
	struct born child;
	fd_t socket;
	struct board board;
	uint32_t asked;        /* the last question's number; the one before all has 0 */
	uint32_t pending;      /* asked and not yet answered */
	struct patience patience;
	enum worker_ask_kind last; /* asked */
	uint32_t wait_ms;      /* for what it says next */
	struct zygote *primed; /* a reference; NULL: none yet */
	bool spawned;          /* from that */
	struct heir_copies copies; /* of what it has written before it was branched */
	_Atomic bool hurried;  /* nobody waits for what it is asked to make */
	_Atomic bool gone;     /* the process has ended and was waited for */
	_Atomic enum vm_outcome outcome;
	struct diag why;
};

/* One of which nothing is there yet. */
must_check err_t worker_new(struct diag *d, struct worker **ret);

/* Gives the question its number, and waits for nothing. ERR_REMOTE: nobody hears it, but there may be
 * something to hear; or it is one that does not listen, and is ended. */
must_check err_t worker_send(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n);
/* The same; what it said before it went is why it cannot be asked. */
must_check err_t worker_ask(struct worker *w, struct worker_ask *a, const int *fds, uint32_t n,
			    struct diag *d);
/* One message. OK without one when it was the machine's end, which is noted. */
must_check err_t worker_hear(struct worker *w, struct diag *d, struct link_in *in,
			     struct worker_say *ret);
/* The answer to what was asked first of all that is pending. EMFILE: it has been answered, but this process
 * has no room for the descriptors; it may be asked again. */
must_check err_t worker_answer(struct worker *w, struct diag *d, struct link_in *in,
			       struct worker_say *ret);
/* One without descriptors in its answer. */
must_check err_t worker_answer_plain(struct worker *w, struct diag *d, uint32_t *ret_value);
/* worker_wait.c: until there is something to hear, or as long as it has for that; it is not waited for again
 * then. Not OK, and the worker as it is, with worker_hurry. */
must_check err_t worker_wait(struct worker *w, struct diag *d);
uint32_t worker_bytes_ms(bytes_t copied);
/* How long a zygote may take that is made of a machine, which was spawned from that one. */
uint32_t worker_copy_ms(const struct zygote *of, const struct zygote_layers *own, bool branch);
/* It has answered what nobody asked, and is ended. */
err_t worker_lied(struct worker *w, uint32_t serial, struct diag *d);
/* CLOCK_MONOTONIC. */
uint64_t worker_clock_ms(void);
