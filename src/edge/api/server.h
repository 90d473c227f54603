/* SPDX-License-Identifier: Apache-2.0 */
/* The control server of one machine, inside. One thread, one event loop: requests are answered one
 * after the other, each completely, so that no two can disagree about the machine's state. The
 * machine is seen through spore.h alone. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "base/diag.h"
#include "base/own.h"
#include "edge/api/http.h"
#include "edge/lib/run_dir.h"

enum {
	SOCKETS_MAX = 2,            /* the published one and --api-sock */
};

struct console_door;
struct handoff_door;

struct spore_server {
	spore_machine *machine;
	struct event_base *base, *own_base; /* the second NULL: it is the supervisor's */
	/* The machine has ended and nobody waits for a reply any more; NULL: the loop is over. Called
	 * by the loop, so that the server may be closed by it. */
	void (*over)(void *ctx);
	void *ctx;
	struct http_front http;
	struct event *ended;             /* the machine's event descriptor */
	struct event *leaving;           /* timer: what `over` says */
	struct run_claim claim;          /* when published */
	struct door doors[SOCKETS_MAX];
	size_t n_doors;
	struct door console;
	struct console_door *console_door;
	struct door handoff;
	struct handoff_door *handoff_door;
	json_t *draft;                   /* the configuration being built before the start */
	bool configured;                 /* something was put into the draft */
	bool held;
	struct http_parking waiting;     /* until it is released */
	bool ending;                     /* the machine has ended; replies are still going out */
	int64_t started;                 /* CLOCK_REALTIME, seconds */
	bool frozen;                     /* it ended as a zygote that another process has */
	struct spore_error fault;        /* of the call that the current request led to */
};

/* A server for a machine that is not there yet, with its name claimed and its doors made, in the loop of
 * somebody else; name NULL: one is made up. */
must_check err_t server_prepare(const char *name, struct diag *d, struct spore_server **ret);
/* The same for one that is there: of a name that was kept, by its lock, which is taken on success. */
must_check err_t server_prepare_kept(const char *name, fd_t *lock, struct diag *d,
				     struct spore_server **ret);
/* As spore_server_close, and its name stays taken: somebody else holds it too. */
void server_leave(struct spore_server *s);
/* Answers from now on. `over` as above. */
must_check err_t server_join(struct spore_server *s, spore_machine *m, struct event_base *base,
			     struct diag *d);

/* A thread has the machine, for long perhaps. Until it is released, requests wait but for those that ask how
 * it is or want it to stop; its end is told of after that. */
void server_hold(struct spore_server *s);
void server_release(struct spore_server *s);

/* info.c: NAME/info.json, for `spore ps` when the machine is too busy to answer. */
void info_write(struct spore_server *s);

/* It is over once what is being answered has gone out. */
void server_ending(struct spore_server *s);

/* console_door.c */
must_check err_t console_door_open(struct spore_server *s, struct diag *d,
				   struct console_door **ret);
void console_door_close(struct console_door *c);

/* handoff_door.c */
must_check err_t handoff_door_open(struct spore_server *s, struct diag *d,
				   struct handoff_door **ret);
void handoff_door_close(struct handoff_door *h);
/* As server_hold. */
void handoff_door_hold(struct handoff_door *h);
void handoff_door_release(struct handoff_door *h);

/* The machine's state; it is local, so there is always an answer. */
enum spore_state server_state(struct spore_server *s);
