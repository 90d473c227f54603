/* SPDX-License-Identifier: Apache-2.0 */
/* A file that appears under its name complete or not at all.
 *
 * It is written without a name (O_TMPFILE) where the file system can, so that even a killed
 * process leaves nothing behind; elsewhere under a temporary name beside the final one. It gets
 * its final name in one step once it is durable, and keeps it unless it is taken back. */
#pragma once

#include "base/diag.h"
#include "base/own.h"

struct new_file {
	fd_t fd;
	fd_t dir;
	char name[256];     /* the final name, in dir */
	char temporary[300]; /* "" while it has none */
	bool named;          /* by new_file_name */
};
#define NEW_FILE_NONE ((struct new_file){ .fd = FD_NONE, .dir = FD_NONE })

must_check err_t new_file_open(const char *path, struct diag *d, struct new_file *ret);
/* Writes all of it at an offset, through interruptions. */
must_check err_t new_file_write(const struct new_file *f, const void *bytes, size_t n, uint64_t at,
				struct diag *d);
/* The disk may begin with these bytes; whether they arrive, new_file_replace will tell. */
void new_file_start_sync(const struct new_file *f, uint64_t at, size_t n);
/* Another file that will get a name in the same folder. */
must_check err_t new_file_beside(const struct new_file *f, const char *name, struct diag *d,
				 struct new_file *ret);
/* Under its name, which nobody has; the caller has made the bytes durable, and does so with the
 * name. new_file_unname takes it back. */
must_check err_t new_file_name(struct new_file *f, struct diag *d);
void new_file_unname(struct new_file *f);
/* Makes the bytes durable and gives the file its name, in the place of what has it now. On failure
 * the old file is still there. */
must_check err_t new_file_replace(struct new_file *f, struct diag *d);
/* Makes names in its folder durable. */
must_check err_t new_file_sync_names(const struct new_file *f, struct diag *d);
/* Accepts one that was never opened; removes a temporary name that is still there. */
void new_file_drop(struct new_file *f);
