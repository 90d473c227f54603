/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime directory: one folder per living machine, so that names mean something.
 *
 *     $SPORE_RUNTIME_DIR, else /run/spore for root, $XDG_RUNTIME_DIR/spore for others   (0700)
 *       .lock             held for moments: one claim or clean-up at a time
 *       .keeper           where a supervisor finds what the one before it has kept
 *       NAME/lock         locked (open file description) for as long as the owner lives, or a
 *                         keeper that has it for the next one
 *       NAME/pid          the owner's process id
 *       NAME/info.json    what the machine is
 *       NAME/api.sock     its control socket
 *       NAME/console.sock its console
 *       NAME/handoff.sock where it becomes a zygote of another process
 *       .serve            the supervisor's folder, in which the same things mean the same
 *
 * A folder whose lock is free was left by an owner that was killed; every call here clears such
 * folders when it meets them. A lock that is tied to a file description cannot outlive its
 * process, and unlike a pid it cannot be taken over by a stranger. */
#pragma once

#include <sys/types.h>

#include "base/diag.h"
#include "base/own.h"

enum { RUN_NAME_MAX = 64, RUN_PATH_MAX = 4096 };

/* A machine's folder, held. */
struct run_claim {
	fd_t root, folder, lock;
	char name[RUN_NAME_MAX + 1];
	char path[RUN_PATH_MAX]; /* of the folder */
};
#define RUN_CLAIM_NONE ((struct run_claim){ .root = FD_NONE, .folder = FD_NONE, .lock = FD_NONE })

/* A living machine's folder, looked at. */
struct run_place {
	fd_t folder;
	char path[RUN_PATH_MAX];
};
#define RUN_PLACE_NONE ((struct run_place){ .folder = FD_NONE })

/* 1..64 letters, digits, '-', '_', '.', not beginning with '.' or '-'. ERR_CONFIG. */
must_check err_t run_name_check(const char *name, struct diag *d);

/* Makes the folder and holds it; name NULL: a short readable one is made up. ERR_EXISTS when a
 * living machine has it. */
must_check err_t run_claim_take(const char *name, struct diag *d, struct run_claim *ret);
/* The same for the supervisor's folder. */
must_check err_t run_claim_take_serve(struct diag *d, struct run_claim *ret);
/* Writes NAME/FILE whole: a reader sees the old text or the new one. */
must_check err_t run_claim_write(const struct run_claim *c, const char *file, const char *text,
				 struct diag *d);
/* One that another process has let go of without removing it, by its lock, which is taken on success. */
must_check err_t run_claim_adopt(const char *name, fd_t *lock, struct diag *d, struct run_claim *ret);
/* Lets go of a folder that somebody else holds too: it stays. */
void run_claim_leave(struct run_claim *c);
/* Removes the folder and lets go. Accepts RUN_CLAIM_NONE. */
void run_claim_drop(struct run_claim *c);

/* ERR_NOT_FOUND when no living machine has the name. */
must_check err_t run_find(const char *name, struct diag *d, struct run_place *ret);
/* ERR_NOT_FOUND when there is no supervisor. */
must_check err_t run_find_serve(struct diag *d, struct run_place *ret);
/* The folder that they all lie in. */
must_check err_t run_root_open(struct diag *d, char ret_path[RUN_PATH_MAX], fd_t *ret_fd);
/* The owner has let go. */
bool run_place_is_dead(const struct run_place *p);
void run_place_drop(struct run_place *p);

/* Names of living machines, sorted; each and the list to be freed with free(). */
must_check err_t run_list(struct diag *d, char ***ret_names, size_t *ret_n);

/* A path of at most 107 bytes for FOLDER/FILE, as socket addresses need it (unix(7)): the folder's
 * own, or through /proc/self/fd when that is too long. */
void run_socket_path(const char *folder, int folder_fd, const char *file, char *ret, size_t cap);
