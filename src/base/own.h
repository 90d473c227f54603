/* SPDX-License-Identifier: Apache-2.0 */
/* Owned resources: a descriptor or a mapping, released when the variable goes out of
 * scope unless it was taken.
 *
 * An fd_t or map_t passed by value moves ownership; an `int` descriptor or a `void *` is borrowed.
 * The signature says which. */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

typedef struct { int raw; } fd_t;
#define FD_NONE ((fd_t){ -1 })

/* syscalls(control): close */
static inline void fd_drop(fd_t *f)
{
	if (f->raw >= 0)
		(void)close(f->raw);
	*f = FD_NONE;
}

must_check static inline fd_t fd_take(fd_t *f)
{
	fd_t t = *f;

	*f = FD_NONE;
	return t;
}

static inline bool fd_is_open(fd_t f)
{
	return f.raw >= 0;
}

#define owned_fd __attribute__((cleanup(fd_drop))) fd_t

typedef struct { void *base; size_t len; } map_t;
#define MAP_NONE ((map_t){ NULL, 0 })

static inline void map_drop(map_t *m)
{
	if (m->base != NULL)
		(void)munmap(m->base, m->len);
	*m = MAP_NONE;
}

must_check static inline map_t map_take(map_t *m)
{
	map_t t = *m;

	*m = MAP_NONE;
	return t;
}

#define owned_map __attribute__((cleanup(map_drop))) map_t
