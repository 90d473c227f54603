/* SPDX-License-Identifier: Apache-2.0 */
/* Files for private layers, used again. A file system may be slow to make one: ext4 takes 25 us on a
 * good day, and does not give a new file the number of one that was removed in the last minutes but
 * looks at each of those first (fs/ext4/ialloc.c, recently_deleted), so that whoever makes and removes
 * many makes them more and more slowly.
 *
 * Counted; any thread, and none waits for another's system call. */
#pragma once

#include "base/diag.h"
#include "base/own.h"
#include "base/units.h"

struct layer_files;

/* Keeps at most so many. */
must_check err_t layer_files_new(uint32_t most, struct layer_files **ret);
struct layer_files *layer_files_again(struct layer_files *f);
void layer_files_free(struct layer_files *f); /* one reference; accepts NULL */

/* As layer_file_new in the usual place: one that came back, or a new one. */
must_check err_t layer_files_take(struct layer_files *f, bytes_t capacity, struct diag *d,
				  fd_t *ret);
/* Takes one that nobody else uses and empties it, for a disk of the same size if it can; or closes it,
 * if there are enough. */
void layer_files_back(struct layer_files *f, fd_t *file, bytes_t capacity);
