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
	fd_t spare[];         /* empty files */
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
		fd_drop(&f->spare[--f->n]);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

static fd_t spare_take(struct layer_files *f)
{
	fd_t file = FD_NONE;

	(void)pthread_mutex_lock(&f->lock);
	if (f->n > 0)
		file = fd_take(&f->spare[--f->n]);
	(void)pthread_mutex_unlock(&f->lock);
	return file;
}

err_t layer_files_take(struct layer_files *f, bytes_t capacity, struct diag *d, fd_t *ret)
{
	owned_fd file = spare_take(f);

	if (!fd_is_open(file) || ftruncate(file.raw, (off_t)capacity.v) != 0)
		return layer_file_new(NULL, capacity, d, ret);
	*ret = fd_take(&file);
	return OK;
}

void layer_files_back(struct layer_files *f, fd_t *file)
{
	owned_fd own = fd_take(file);

	if (ftruncate(own.raw, 0) != 0)
		return;
	(void)pthread_mutex_lock(&f->lock);
	if (f->n < f->most)
		f->spare[f->n++] = fd_take(&own);
	(void)pthread_mutex_unlock(&f->lock);
}
