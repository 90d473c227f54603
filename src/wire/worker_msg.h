/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor and the worker of one machine say to each other, one message per packet of a
 * SOCK_SEQPACKET socket, descriptors beside it. The worker answers all that it is asked in that order,
 * with the number that the question had; only WORKER_ENDED comes by itself. A worker is not trusted with
 * anything: what it says is judged here, and what it hands over where it is opened.
 *
 * Both are of one build, which WORKER_VERSION checks: there is no second version to speak. */
#pragma once

#include "base/bytes.h"

#define WORKER_VERSION 4
enum { WORKER_MSG_MAX = 8192, WORKER_INPUT_MAX = 4096, WORKER_TEXT_MAX = 512,
       WORKER_SAY_MAX = WORKER_TEXT_MAX + 64 };

/* X(name, number): what is asked for. Descriptors in their order. */
#define WORKER_ASKS(X) \
	/* build a shell: /dev/kvm, board, its event, a file for the private layer of each disk, and \
	 * /dev/userfaultfd if it is to be had -> DONE */ \
	X(SHELL,  1) \
	X(PRIME,  2) /* the zygote to come: its files -> DONE */                             \
	X(SPAWN,  3) /* load it -> DONE */                                                   \
	X(RESUME, 4) /* paused -> running -> DONE */                                         \
	X(PAUSE,  5) /* running -> paused -> DONE */                                         \
	X(STOP,   6) /* -> ENDED, and the process exits */                                   \
	X(INPUT,  7) /* for the console -> DONE with how many bytes were taken */            \
	/* paused -> frozen: memfds for the new layer of RAM and for the state -> DONE with the zygote's \
	 * files, and the same again when it is asked again */ \
	X(FREEZE, 8) \
	/* running, and goes on: the same, then a file for each disk that is not read-only, then \
	 * another for each, should layers have to be merged -> DONE with the zygote's files, and for how many microseconds it stood still */ \
	X(BRANCH, 9) \
	X(STATE, 10) /* -> DONE with an enum worker_state */ \
	X(CLAIM, 11) /* new -> the same with a name and a clock, or running with them -> DONE */

enum worker_ask_kind {
#define X(name, number) WORKER_##name = (number),
	WORKER_ASKS(X)
#undef X
};

enum worker_state {
	WORKER_IS_EMPTY,  /* no machine yet */
	WORKER_IS_NEW,    /* paused, and has never run */
	WORKER_IS_PAUSED,
	WORKER_IS_RUNNING,
	WORKER_IS_FROZEN, /* can be frozen again, and nothing else */
};

struct worker_ask {
	enum worker_ask_kind kind;
	uint32_t serial;
	char name[65];    /* SPAWN, CLAIM: "" keeps the zygote's */
	uint32_t clock;   /* SPAWN, CLAIM: enum clock_policy */
	bool run;         /* SPAWN, CLAIM: goes on at once */
	uint32_t n_input; /* INPUT */
	uint8_t input[WORKER_INPUT_MAX];
};

/* X(name, number) */
#define WORKER_SAYS(X) \
	X(DONE,   1) \
	X(FAILED, 2) /* the thing asked for, as an error; the worker is as it was */ \
	X(ENDED,  3) /* the machine has */

enum worker_say_kind {
#define X(name, number) WORKER_##name = (number),
	WORKER_SAYS(X)
#undef X
};

struct worker_say {
	enum worker_say_kind kind;
	uint32_t serial;   /* of what it answers; 0: of nothing */
	uint32_t value;    /* DONE: what was asked; ENDED: enum vm_outcome */
	uint32_t code;     /* FAILED: enum err_code */
	int32_t sys;       /* FAILED */
	char text[WORKER_TEXT_MAX]; /* FAILED, ENDED: why, "" unless it is an error or a crash */
};

must_check err_t worker_ask_parse(struct cur in, struct diag *d, struct worker_ask *ret);
void worker_ask_encode(struct out *o, const struct worker_ask *a);
must_check err_t worker_say_parse(struct cur in, struct diag *d, struct worker_say *ret);
void worker_say_encode(struct out *o, const struct worker_say *s);
