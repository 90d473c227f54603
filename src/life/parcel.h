/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote between processes: bytes in a sealed memfd, and its files (wire/parcel.h has their order).
 * Nothing is copied but its state. */
#pragma once

#include "base/own.h"
#include "life/zygote.h"

/* Fewer than one message can carry (SCM_MAX_FD is 253). */
enum { ZYGOTE_FILES_MAX = 240 };

struct zygote_files {
	uint32_t n;
	int fd[ZYGOTE_FILES_MAX]; /* borrowed from the zygote; the first is the bytes */
};

/* A file for the bytes, from a process that can make none; taken. Before zygote_pack. */
void zygote_give_file(struct zygote *z, fd_t *memfd);
must_check err_t zygote_file_new(struct diag *d, fd_t *ret);
/* Made once and kept with the zygote. ERR_SIZE when it has too many files. Any thread. */
must_check err_t zygote_pack(struct zygote *z, struct diag *d, struct zygote_files *ret);

/* The other end of what a worker says that it has made of `of`: as zygote_unpack, but ERR_SIZE, before
 * anything is read, when its state is larger than anything that could become of that. `of` NULL: it was not
 * a worker. */
must_check err_t zygote_unpack_heir(fd_t *fds, uint32_t n, const struct zygote *of, struct diag *d,
				    struct zygote **ret_zygote);
/* The other end: everything is judged again. All of `fds` are taken, on failure too. */
must_check err_t zygote_unpack(fd_t *fds, uint32_t n, struct diag *d, struct zygote **ret_zygote);

/* As zygote_pack, for a worker: its files of disks cannot be used against others who have them
 * (disk_base_lend). What froze the zygote is ended first. In the worker it is told of. Any thread. */
must_check err_t zygote_lend(struct zygote *z, struct diag *d, struct zygote_files *ret);
void zygote_is_lent(struct zygote *z);
