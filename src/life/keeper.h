/* SPDX-License-Identifier: Apache-2.0 */
/* A process that keeps descriptors for a supervisor, so that what they belong to outlives it
 * (docs/design/0021): entries of a key, a text and files. It looks at nothing of them. Whoever of the
 * same user connects to it is the supervisor from then on and is told of all entries. It ends when it
 * has neither a supervisor nor an entry. */
#pragma once

#include "base/diag.h"
#include "base/own.h"

enum {
	KEEPER_KEY_MAX = 80,
	KEEPER_TEXT_MAX = 8000,
	KEEPER_FILES_MAX = 248, /* of an entry: SCM_MAX_FD is 253 */
};

struct keeper_entry {
	char key[KEEPER_KEY_MAX + 1];
	char text[KEEPER_TEXT_MAX + 1];
	uint32_t n;
	fd_t files[KEEPER_FILES_MAX]; /* what is taken from here is not dropped */
};

/* Runs `program`, an open spore-worker, as nobody's child; `listening`, a SOCK_SEQPACKET socket, is what
 * it is found at. Both are borrowed. */
must_check err_t keeper_start(int program, int listening, struct diag *d);

struct keeper;
/* The supervisor's end, of a socket that is connected to it and taken. Calls `each` for all that it has;
 * a failure of that is what it returns, and nothing is lost by it. */
typedef err_t keeper_each(void *ctx, struct keeper_entry *e, struct diag *d);
must_check err_t keeper_meet(fd_t *socket, keeper_each *each, void *ctx, struct diag *d,
			     struct keeper **ret_keeper);
/* It keeps what it has; accepts NULL. */
void keeper_leave(struct keeper *k);
/* It lets go of everything, and ends. Accepts NULL. */
void keeper_dismiss(struct keeper *k);
/* The same for one that may not listen to us any more. Accepts NULL. */
void keeper_kill(struct keeper *k);

/* Under this key from now on, instead of what may be there; the files are borrowed. When it returns it
 * is safe. ERR_REMOTE: the keeper is gone. */
must_check err_t keeper_put(struct keeper *k, const char *key, const char *text, const int *files,
			    uint32_t n, struct diag *d);
/* No harm if there is none. */
void keeper_drop(struct keeper *k, const char *key);
/* Readable when it is gone. Borrowed. */
int keeper_socket(const struct keeper *k);

/* The program's side: returns its exit status. */
int keeper_serve(void);
