/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/ram_base.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "base/refs.h"
#include "machine/ram/ram_parts.h"

enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, SEAL_ATTEMPTS = 20 };

struct ram_base {
	struct refs references;
	uint64_t len;
	struct ram_extents pieces;
	struct ram_files files;
	bool sealed;
	uint64_t file_end; /* not sealed: how long the one file must stay */
	uint8_t *has;      /* which blocks may hold data; owned */
	pthread_mutex_t look_lock; /* for the first who asks */
	atomic_bool looked;
};

static struct ram_base *base_alloc(bytes_t ram)
{
	struct ram_base *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	refs_init(&b->references);
	b->len = ram.v;
	b->has = calloc(1, ram.v / RAM_BLOCK / 8 + 1);
	if (b->has == NULL) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->look_lock, NULL);
	return b;
}

static void files_drop(struct ram_files *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		fd_drop(&f->fd[i]);
	f->n = 0;
}

struct ram_base *ram_base_again(struct ram_base *b)
{
	refs_take(&b->references);
	return b;
}

void ram_base_free(struct ram_base *b)
{
	if (b == NULL || !refs_drop(&b->references))
		return;
	files_drop(&b->files);
	pthread_mutex_destroy(&b->look_lock);
	free(b->has);
	free(b);
}

err_t ram_base_of_file(int file, foff_t at, bytes_t ram, const struct ram_map *map, struct diag *d,
		       struct ram_base **ret_base)
{
	owned_fd own = { fcntl(file, F_DUPFD_CLOEXEC, 0) };
	struct ram_base *b;

	if (!fd_is_open(own))
		return diag_sys(d, FAIL_SYS(errno), "keeping the snapshot file open");
	b = base_alloc(ram);
	if (b == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(b->has, map->bits, (size_t)(map->blocks + 7) / 8);
	b->looked = true;
	b->file_end = at.v + ram.v;
	b->pieces.n = 1;
	b->pieces.e[0] = (struct ram_extent){ BYTES(0), ram, 0, at };
	b->files.n = 1;
	b->files.fd[0] = fd_take(&own);
	*ret_base = b;
	return OK;
}

/* ---- of memfds ---- */

/* syscalls(control): fcntl=F_GET_SEALS */
static err_t seals_check(const struct ram_base *b, struct diag *d)
{
	for (uint32_t i = 0; i < b->files.n; i++) {
		int seals = fcntl(b->files.fd[i].raw, F_GET_SEALS);

		if (seals < 0 || (seals & SEALS) != SEALS)
			return diag_fail(d, FAIL(ERR_STATE),
					 "memory that is to be shared is not sealed");
	}
	return OK;
}

/* syscalls(control): newfstatat=AT_EMPTY_PATH */
static err_t file_size(int fd, struct diag *d, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return diag_sys(d, FAIL_SYS(errno), "looking at shared memory");
	*ret_size = (uint64_t)st.st_size;
	return OK;
}

static err_t piece_check(const struct ram_base *b, const struct ram_extent *e, uint64_t expected,
			 const uint64_t *sizes, struct diag *d)
{
	foff_t end;

	if (e->offset.v != expected || e->len.v == 0 || e->len.v % HOST_PAGE != 0 ||
	    e->len.v > b->len - expected)
		return diag_field(d, FAIL(ERR_RANGE), "memory", "pieces",
				  "do not cover the guest's RAM page by page, once each");
	if (e->source == RAM_SOURCE_HOLE)
		return OK;
	if (e->source >= b->files.n || e->at.v % HOST_PAGE != 0 ||
	    !foff_end(e->at, e->len, &end) || end.v > sizes[e->source])
		return diag_field(d, FAIL(ERR_RANGE), "memory", "pieces",
				  "lie outside their files");
	return OK;
}

static err_t pieces_check(const struct ram_base *b, struct diag *d)
{
	uint64_t sizes[RAM_SOURCES_MAX], at = 0;

	if (b->pieces.n > RAM_EXTENTS_MAX)
		return diag_field(d, FAIL(ERR_RANGE), "memory", "pieces",
				  "are %" PRIu32 ", expected at most %d", b->pieces.n,
				  RAM_EXTENTS_MAX);
	for (uint32_t i = 0; i < b->files.n; i++)
		TRY(file_size(b->files.fd[i].raw, d, &sizes[i]));
	for (uint32_t i = 0; i < b->pieces.n; i++) {
		TRY(piece_check(b, &b->pieces.e[i], at, sizes, d));
		at += b->pieces.e[i].len.v;
	}
	if (at != b->len)
		return diag_field(d, FAIL(ERR_RANGE), "memory", "pieces",
				  "end at %" PRIu64 ", the guest's RAM at %" PRIu64, at, b->len);
	return OK;
}

static void has_range(struct ram_base *b, uint64_t from, uint64_t to)
{
	for (uint64_t i = from / RAM_BLOCK; i * RAM_BLOCK < to; i++)
		b->has[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Where a piece holds data: by asking for its holes, which fills none of them. What cannot be asked may
 * hold some everywhere. */
/* syscalls(control): lseek */
static void has_piece(struct ram_base *b, const struct ram_extent *e)
{
	int fd = b->files.fd[e->source].raw;
	uint64_t end = e->at.v + e->len.v;

	for (uint64_t at = e->at.v; at < end;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if ((data < 0 && errno == ENXIO) || (data >= 0 && (uint64_t)data >= end))
			return;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0) {
			has_range(b, e->offset.v, e->offset.v + e->len.v);
			return;
		}
		at = (uint64_t)hole < end ? (uint64_t)hole : end;
		has_range(b, e->offset.v + ((uint64_t)data - e->at.v),
			  e->offset.v + (at - e->at.v));
	}
}

/* Only when somebody wants to know, which most children never do: the memory of many generations has
 * thousands of holes. */
static void look(struct ram_base *b)
{
	pthread_mutex_lock(&b->look_lock);
	for (uint32_t i = 0; i < b->pieces.n && !b->looked; i++)
		if (b->pieces.e[i].source != RAM_SOURCE_HOLE)
			has_piece(b, &b->pieces.e[i]);
	atomic_store(&b->looked, true);
	pthread_mutex_unlock(&b->look_lock);
}

err_t ram_base_draft(struct ram_files *in, const struct ram_extents *pieces, bytes_t ram,
		     struct ram_base **ret_base)
{
	struct ram_base *b = base_alloc(ram);

	if (b == NULL) {
		files_drop(in);
		return FAIL(ERR_NOMEM);
	}
	b->sealed = true;
	b->files = *in;
	in->n = 0;
	b->pieces = *pieces;
	*ret_base = b;
	return OK;
}

err_t ram_base_complete(struct ram_base *b, struct diag *d)
{
	TRY(pieces_check(b, d));
	return seals_check(b, d);
}

err_t ram_base_of_memfds(struct ram_files *in, const struct ram_extents *pieces, bytes_t ram,
			 struct diag *d, struct ram_base **ret_base)
{
	struct ram_base *b;
	err_t e;

	TRY(ram_base_draft(in, pieces, ram, &b));
	/* Seals first: a file that could still be cut proves nothing by its size. */
	e = seals_check(b, d);
	if (!failed(e))
		e = pieces_check(b, d);
	if (failed(e)) {
		ram_base_free(b);
		return e;
	}
	*ret_base = b;
	return OK;
}

/* ---- looking ---- */

bytes_t ram_base_len(const struct ram_base *b)
{
	return BYTES(b->len);
}

const struct ram_extents *ram_base_extents(const struct ram_base *b)
{
	return &b->pieces;
}

uint32_t ram_base_sources(const struct ram_base *b)
{
	return b->files.n;
}

int ram_base_source(const struct ram_base *b, uint32_t i)
{
	assert(i < b->files.n);
	return b->files.fd[i].raw;
}

bool ram_base_is_sealed(const struct ram_base *b)
{
	return b->sealed;
}

bool ram_base_is_cut(const struct ram_base *b)
{
	struct stat st;

	if (b->sealed)
		return false;
	return fstat(b->files.fd[0].raw, &st) != 0 || (uint64_t)st.st_size < b->file_end;
}

bool ram_base_has(const struct ram_base *b, uint64_t index)
{
	if (!atomic_load(&b->looked))
		look((struct ram_base *)(uintptr_t)b);
	return (b->has[index / 8] >> (index % 8)) & 1;
}

/* Reads exactly n bytes. A short read means that somebody cut the file. */
/* syscalls(control): pread64 */
static err_t read_at(int fd, uint64_t at, uint8_t *to, size_t n, struct diag *d)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_sys(d, FAIL_SYS(errno), "reading guest RAM");
		if (got == 0)
			return diag_fail(d, FAIL(ERR_RAM_LOST),
					 "the snapshot file behind the guest's RAM was cut short");
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

err_t ram_base_read(const struct ram_base *b, bytes_t offset, uint8_t *to, size_t n, struct diag *d)
{
	uint64_t from = offset.v, end = offset.v + n;

	for (uint32_t i = 0; i < b->pieces.n && from < end; i++) {
		const struct ram_extent *e = &b->pieces.e[i];
		uint64_t piece_end = e->offset.v + e->len.v;
		size_t part;

		if (piece_end <= from)
			continue;
		part = (size_t)((piece_end < end ? piece_end : end) - from);
		if (e->source == RAM_SOURCE_HOLE)
			memset(to, 0, part);
		else
			TRY(read_at(b->files.fd[e->source].raw, e->at.v + (from - e->offset.v), to,
				    part, d));
		to += part;
		from += part;
	}
	return OK;
}

/* syscalls(control): mmap */
/* What was mapped of it before something failed. */
static void unmap_pieces(const struct ram_base *b, void *at, uint32_t n)
{
	if (n > 0)
		(void)munmap(at, b->pieces.e[n - 1].offset.v + b->pieces.e[n - 1].len.v);
}

err_t ram_base_map(const struct ram_base *b, void *at, enum ram_place place, struct diag *d)
{
	int fixed = place == RAM_PLACE_EMPTY ? MAP_FIXED_NOREPLACE : MAP_FIXED;

	for (uint32_t i = 0; i < b->pieces.n; i++) {
		const struct ram_extent *e = &b->pieces.e[i];
		bool hole = e->source == RAM_SOURCE_HOLE;
		int flags = MAP_PRIVATE | fixed | MAP_NORESERVE |
			    (hole ? MAP_ANONYMOUS : 0);

		if (mmap((uint8_t *)at + e->offset.v, e->len.v, PROT_READ | PROT_WRITE, flags,
			 hole ? -1 : b->files.fd[e->source].raw, (off_t)e->at.v) != MAP_FAILED)
			continue;
		unmap_pieces(b, at, i);
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
				"mapping %" PRIu64 " MiB of guest RAM", e->len.v >> 20);
	}
	return OK;
}

/* ---- memfds ---- */

err_t ram_memfd_new(bytes_t size, struct diag *d, fd_t *ret)
{
	owned_fd memfd = { memfd_create("spore-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

	if (!fd_is_open(memfd) || ftruncate(memfd.raw, (off_t)size.v) != 0)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
				"reserving %" PRIu64 " MiB of guest RAM", size.v >> 20);
	/* Nobody, this process included, can take the memory away from under the guest. */
	(void)fcntl(memfd.raw, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	*ret = fd_take(&memfd);
	return OK;
}

/* A thread that was preempted in the middle of a page fault holds its page. The kernel waits for it,
 * for 150 ms or so (mm/memfd.c, memfd_wait_for_pins); a busy host may keep it longer. */
/* syscalls(control): fcntl=F_ADD_SEALS */
err_t ram_memfd_seal(int memfd, struct diag *d)
{
	for (int i = 0; i < SEAL_ATTEMPTS; i++) {
		if (fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
			return OK;
		if (errno != EBUSY)
			break;
	}
	return diag_sys(d, FAIL_SYS(errno), "sealing guest RAM");
}
