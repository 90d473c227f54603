/* SPDX-License-Identifier: Apache-2.0 */
/* The control server of one machine, inside. One thread, one event loop: requests are answered one
 * after the other, each completely, so that no two can disagree about the machine's state. The
 * machine is seen through spore.h alone. */
#pragma once

#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <spore.h>

#include "base/diag.h"
#include "base/own.h"
#include "edge/lib/run_dir.h"

enum {
	HTTP_BODY_MAX = 51200,      /* Firecracker's default */
	HTTP_CONNECTIONS_MAX = 10,
	HTTP_IDLE_SECONDS = 60,
	WATCHES_MAX = 8,
	SOCKETS_MAX = 2,            /* the published one and --api-sock */
	ACCEPT_AGAIN_MS = 20,       /* after a connection that could not be accepted */
};

struct console_door;

/* A listening socket that we made and will remove. */
struct door {
	fd_t fd;
	char path[RUN_PATH_MAX];
	dev_t dev;
	ino_t ino;
};

struct spore_server {
	spore_machine *machine;
	struct event_base *base;
	struct evhttp *http;
	struct event *ended;             /* the machine's event descriptor */
	struct run_claim claim;          /* when published */
	struct door doors[SOCKETS_MAX];
	size_t n_doors;
	struct door console;
	struct console_door *console_door;
	json_t *draft;                   /* the configuration being built before the start */
	bool configured;                 /* something was put into the draft */
	bool ending;                     /* the machine has ended; replies are still going out */
	int64_t started;                 /* CLOCK_REALTIME, seconds */
	size_t n_connections;            /* references, swept when one more comes in */
	struct bufferevent *connections[HTTP_CONNECTIONS_MAX];
	unsigned replies;                /* on their way */
	struct spore_error fault;        /* of the call that the current request led to */
	struct evhttp_request *current;  /* being handled: where progress may be told */
};

/* door.c. A socket that nobody listens on any more is replaced; ERR_EXISTS otherwise. */
must_check err_t door_open(const char *path, const char *bind_path, struct diag *d,
			   struct door *ret);
void door_close(struct door *door);

/* http.c: evhttp with limits, whole requests in, replies out. */
must_check err_t http_open(struct spore_server *s, struct diag *d);
must_check err_t http_listen(struct spore_server *s, const struct door *door, struct diag *d);
void http_close(struct spore_server *s);
/* Tells the client of the request being handled how far it is, if it asked. */
void http_progress(void *server, uint64_t done, uint64_t of);

/* info.c: NAME/info.json, for `spore ps` when the machine is too busy to answer. */
void info_write(struct spore_server *s);

/* Ends the loop once what is being answered has gone out. */
void server_ending(struct spore_server *s);

/* console_door.c */
must_check err_t console_door_open(struct spore_server *s, struct diag *d,
				   struct console_door **ret);
void console_door_close(struct console_door *c);

/* The machine's state; it is local, so there is always an answer. */
enum spore_state server_state(struct spore_server *s);
