/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/disk/layer_files.h"

#include <pthread.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/refs.h"
#include "machine/disk/disk.h"

struct layer_files {
	struct refs references;
	pthread_mutex_t lock; /* of what follows; held for no system call */
	uint32_t n, most;
	struct spare { fd_t file; bytes_t len; } spare[]; /* all hole */
};

err_t layer_files_new(uint32_t most, struct layer_files **ret)
{
	struct layer_files *f = calloc(1, sizeof *f + most * sizeof f->spare[0]);

	if (f == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&f->references);
	(void)pthread_mutex_init(&f->lock, NULL);
	f->most = most;
	*ret = f;
	return OK;
}

struct layer_files *layer_files_again(struct layer_files *f)
{
	refs_take(&f->references);
	return f;
}

void layer_files_free(struct layer_files *f)
{
	if (f == NULL || !refs_drop(&f->references))
		return;
	while (f->n > 0)
		fd_drop(&f->spare[--f->n].file);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct spare spare_take(struct layer_files *f)
{
	struct spare s = { FD_NONE, BYTES(0) };

	(void)pthread_mutex_lock(&f->lock);
	if (f->n > 0)
		s = f->spare[--f->n];
	(void)pthread_mutex_unlock(&f->lock);
	return s;
}

err_t layer_files_take(struct layer_files *f, bytes_t capacity, struct diag *d, fd_t *ret)
{
	struct spare s = spare_take(f);
	owned_fd file = fd_take(&s.file);

	if (!fd_is_open(file) ||
	    (s.len.v != capacity.v && ftruncate(file.raw, (off_t)capacity.v) != 0))
		return layer_file_new(NULL, capacity, d, ret);
	*ret = fd_take(&file);
	return OK;
}

void layer_files_back(struct layer_files *f, fd_t *file, bytes_t capacity)
{
	owned_fd own = fd_take(file);

	/* Here, where nobody waits for a machine. */
	if (ftruncate(own.raw, 0) != 0 || ftruncate(own.raw, (off_t)capacity.v) != 0)
		return;
	(void)pthread_mutex_lock(&f->lock);
	if (f->n < f->most)
		f->spare[f->n++] = (struct spare){ fd_take(&own), capacity };
	(void)pthread_mutex_unlock(&f->lock);
}
