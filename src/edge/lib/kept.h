/* SPDX-License-Identifier: Apache-2.0 */
/* Machines and zygotes for the process that comes after this one: a document and files of each
 * (docs/design/0021-kept-machines.md). Both processes are the same user's and of one build. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "life/keeper.h"

/* Of what one process keeps another can make use if this is the same. */
const char *kept_build(void);

struct kept_files { uint32_t n; int fd[KEEPER_FILES_MAX]; }; /* borrowed */

/* Appends the files. If `with`, which is kept by itself, is what it was spawned from, its files are not
 * among them; NULL: they are. The document is the caller's. */
must_check err_t kept_machine_pack(const spore_machine *m, const spore_zygote *with, struct diag *d,
				   struct kept_files *io_files, json_t **ret_doc);
/* The rest of the files is taken, on failure too. One that has ended meanwhile is there, and says how.
 * `pool` may be NULL. */
must_check err_t kept_machine_adopt(const json_t *doc, fd_t *fds, uint32_t n, const spore_zygote *with,
				    spore_pool *pool, struct diag *d, spore_machine **ret_machine);
/* For one that cannot be taken over: its process, before the files are taken; and its end. */
fd_t kept_machine_process(const fd_t *fds, uint32_t n);
void kept_process_end(fd_t process);
/* As spore_machine_free, and it lives on: somebody has its files. */
void kept_machine_leave(spore_machine *m);
/* Before that: a thread that waits for its worker to make a zygote does so no more. */
void kept_machine_hurry(spore_machine *m);

must_check err_t kept_zygote_pack(const spore_zygote *z, struct diag *d, struct kept_files *io_files);
/* All of the files are taken, on failure too. */
must_check err_t kept_zygote_adopt(fd_t *fds, uint32_t n, struct diag *d, spore_zygote **ret_zygote);

/* keeper_start with the program that workers are, for that jail (NULL: the usual). */
must_check err_t kept_keeper_start(const struct spore_jail *jail, int listening, struct diag *d);
