/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor, inside. One loop, in which its own socket and those of all its children are served; what
 * takes long is done beside it (supervisor_chore.c). A child is a struct spore_server of its own in that
 * loop, with a folder in the runtime directory (docs/design/0019-a-child-has-a-folder.md), so all that is
 * said to machines by name reaches it. Everything is seen through spore.h alone. */
#pragma once

#include <spore.h>

#include "edge/api/server.h"

enum {
	ZYGOTES_MOST = 1024,
	SPAWN_MOST = 4096,  /* by one request */
	ENDS_KEPT = 64,     /* ends of children that are remembered */
};

/* Counted: by the table, until somebody removes it, and by each of its children, whose workers go when
 * the pool that they were started by does. */
struct kept_zygote {
	struct spore_supervisor *supervisor;
	uint64_t serial; /* no other has it, in the life of a keeper */
	size_t uses;
	bool listed;     /* in the table */
	char name[RUN_NAME_MAX + 1];
	char *file;            /* it was read from; NULL: it was a machine, */
	char machine[RUN_NAME_MAX + 1]; /* of this name */
	struct { dev_t dev; ino_t ino; off_t size; struct timespec written; } stamp; /* the file's */
	spore_zygote *zygote;  /* NULL: removed, or */
	bool coming;           /* not there yet, but listed */
	spore_pool *pool;      /* made with the first child */
	char *id;
};

struct kept_child {
	struct spore_supervisor *supervisor;
	spore_machine *machine;
	struct spore_server *server;
	struct kept_zygote *zygote; /* one use */
	bool busy; /* a chore has the machine; its server is held */
	struct http_parking asker; /* is answered when its name is free */
};

struct end_note {
	char name[RUN_NAME_MAX + 1], zygote[RUN_NAME_MAX + 1];
	enum spore_outcome outcome;
	char why[512];
};

struct spore_supervisor {
	struct spore_supervisor_options options;
	struct event_base *base;
	struct http_front http;
	struct run_claim claim;
	struct door door;
	int64_t started;
	struct kept_zygote **zygotes;
	size_t n_zygotes;
	struct kept_child **children;
	size_t n_children, room_children;
	uint64_t last_serial;      /* of a zygote */
	struct keeper *keeper;     /* NULL: nothing is kept */
	struct event *keeper_gone, *keeper_again;
	bool leaves;               /* children live on when it closes */
	struct end_note ends[ENDS_KEPT];
	uint64_t n_ends;
	struct spore_error fault; /* of the call that the current request led to */
	struct chore *chores;     /* going on */
	fd_t chore_fd;            /* an eventfd: one of them has something to say */
	struct event *chore_event;
	struct http_parking waiting; /* for what a chore has */
	bool quits;               /* once there are no chores */
	bool closes;
};

/* A request to the supervisor. */
struct errand {
	struct spore_supervisor *s;
	const char *id;     /* of the path, or "" */
	const json_t *body; /* an object, or NULL */
};
typedef err_t errand_handler(const struct errand *c, struct diag *d, json_t **ret_body);

must_check err_t supervisor_dispatch(void *supervisor, const char *method, const char *path,
				     const char *text, size_t len, struct diag *d,
				     json_t **ret_body);
errand_handler errand_status, errand_machines, errand_zygotes, errand_zygote_put;
errand_handler errand_zygote_delete, errand_zygote_save, errand_spawn, errand_pools;
errand_handler errand_pool_put;
/* What a public call said, with &supervisor->fault as its last argument. */
must_check err_t errand_result(const struct errand *c, int status, struct diag *d);

/* supervisor_chore.c: what takes as long as memory takes to copy, or a worker to answer, on a thread of its
 * own, while the loop goes on. The request that led to it is answered when it is done. */
struct chore_order {
	struct spore_supervisor *supervisor;
	/* On the thread: touches nothing but this order, with public calls. `progress` is for
	 * chore_progress. What is returned is as the call's. */
	int (*work)(struct chore_order *o, void *progress, struct spore_error *err);
	/* In the loop, with what came of it. Returns what the client is told. */
	err_t (*finish)(struct chore_order *o, err_t e, struct diag *d, json_t **ret_body);
	bool again;                 /* if it succeeds, the request is handled anew instead, */
	struct http_parking *hand_on; /* or, set by `finish`, answered by whoever has this */
	struct kept_zygote *listed; /* one use; NULL: of none */
	struct kept_child *child;   /* busy with it; NULL: of none */
	spore_zygote *zygote;       /* what it makes or takes; one reference */
	char *path, *warning;       /* owned */
	char machine[RUN_NAME_MAX + 1];
	bool branch;
};
/* The current request waits for it. */
must_check err_t chore_start(const struct chore_order *o, struct diag *d);
void chore_progress(void *progress, uint64_t done, uint64_t of);
/* The current request is handled anew when a chore has ended: one has what it is about. Never OK. */
must_check err_t chore_await(struct spore_supervisor *s, struct diag *d);
must_check err_t chores_open(struct spore_supervisor *s, struct diag *d);
size_t chores_count(const struct spore_supervisor *s);
/* No more of them; true: there is nothing to wait for, or somebody does not want to. */
bool chores_quit(struct spore_supervisor *s);
/* Waits for those that there are. */
void chores_close(struct spore_supervisor *s);

/* supervisor_zygote.c. Not OK for one that is not there yet, too: the request waits for it. */
must_check err_t zygote_find(struct spore_supervisor *s, const char *name, struct diag *d,
			     struct kept_zygote **ret);
bool zygote_is_named(const struct spore_supervisor *s, const char *name);
/* With a name that is free, and room in the table. */
must_check err_t kept_zygote_check(struct spore_supervisor *s, const char *name, struct diag *d);
/* Its use is the table's no more, and its memory goes. */
void kept_zygote_unlist(struct kept_zygote *z);
/* supervisor_make.c */
/* Of a file; the one that was read from it before, if it has not changed since. Else not OK: the request
 * is handled anew when it has been read. */
must_check err_t zygote_of_file(struct spore_supervisor *s, const char *path, struct diag *d,
				struct kept_zygote **ret);
void kept_zygote_drop(struct kept_zygote *z); /* one use; accepts NULL */
/* One use; nothing but a name, and in no table. */
must_check err_t kept_zygote_new(struct spore_supervisor *s, const char *name, struct diag *d,
				 struct kept_zygote **ret);
/* Its use becomes the table's. ERR_EXISTS when the name is not free there. */
must_check err_t kept_zygote_list(struct kept_zygote **in, struct diag *d);
/* supervisor_pool.c */
must_check err_t zygote_pool(struct spore_supervisor *s, struct kept_zygote *z, struct diag *d);
json_t *pool_json(const struct kept_zygote *z);

/* supervisor_keep.c: what the next supervisor finds (docs/design/0021-kept-machines.md). */
/* Takes over what the one before has kept, and keeps things from now on if it is to. */
must_check err_t keep_open(struct spore_supervisor *s, struct diag *d);
void keep_close(struct spore_supervisor *s);
/* As they are now; nothing is done where nothing is kept. */
must_check err_t keep_zygote(const struct kept_zygote *z, struct diag *d);
must_check err_t keep_child(const struct kept_child *c, struct diag *d);
void keep_no_zygote(const struct kept_zygote *z);
void keep_no_child(const struct kept_child *c);

/* supervisor_adopt.c: s->keeper is what is at the other end of the socket, which is taken. */
must_check err_t adopt_all(struct spore_supervisor *s, fd_t *socket, struct diag *d);

/* supervisor_child.c */
struct child_order {
	struct kept_zygote *zygote;
	const struct spore_identity *identity; /* with a name */
	bool paused;
};
must_check err_t child_new(struct spore_supervisor *s, const struct child_order *o, struct diag *d,
			   struct kept_child **ret, uint64_t *ret_ns);
/* One that is there: all of it but what it takes from the supervisor is set, and is the table's now. */
must_check err_t child_join(struct kept_child *c, struct diag *d);
/* It lives on; any part of it may be missing. */
void child_let_go(struct kept_child *c);
/* NULL: none of ours. */
struct kept_child *child_find(struct spore_supervisor *s, const char *name);
/* Remembered, and told. */
void end_tell(struct spore_supervisor *s, const char *name, const char *zygote,
	      enum spore_outcome outcome, const struct spore_error *why);
/* Its end is noted and told, its name is free. */
void child_leave(struct kept_child *c);
/* All of them, without a word. */
void children_end(struct spore_supervisor *s);
/* All of them live on, but for those that have ended, which are told of. */
void children_leave(struct spore_supervisor *s);

/* supervisor_litter.c: what a request for many children says about each. */
struct litter {
	size_t n;
	struct sibling *at;                   /* owned */
	const struct spore_identity **all;    /* owned; each is a sibling's */
	json_t *texts;                        /* owned: what was made of patterns */
};
struct litter_order {
	const char *pattern;    /* of names */
	size_t n;
	const json_t *identity; /* NULL: none */
};
must_check err_t litter_read(const struct litter_order *o, struct diag *d, struct litter *ret);
void litter_drop(struct litter *l);
