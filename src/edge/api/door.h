/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets in the file system, for the same user only. */
#pragma once

#include <sys/types.h>

#include "base/diag.h"
#include "base/own.h"
#include "edge/lib/run_dir.h"

/* One that we made and will remove. */
struct door {
	fd_t fd;
	char path[RUN_PATH_MAX];
	dev_t dev;
	ino_t ino;
};

/* `type` is SOCK_STREAM or SOCK_SEQPACKET. A socket that nobody listens on any more is replaced;
 * ERR_EXISTS otherwise. */
must_check err_t door_open(const char *path, const char *bind_path, int type, struct diag *d,
			   struct door *ret);
/* FOLDER/FILE of a claim. */
must_check err_t door_open_in(const struct run_claim *c, const char *file, int type, struct diag *d,
			      struct door *ret);
void door_close(struct door *door);
