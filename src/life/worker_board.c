/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* `total` counts every byte ever written; it is set after the bytes are there. */
struct shared {
	_Atomic uint64_t total;
	_Atomic uint64_t entered, exited;
	_Atomic uint32_t waiting; /* the reader has seen all */
	uint8_t kept[BOARD_KEPT];
};

static struct shared *shared_of(const struct board *b)
{
	return b->map.base;
}

static err_t map(int memfd, struct diag *d, struct board *b)
{
	void *at = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

	if (at == MAP_FAILED)
		return diag_sys(d, FAIL_SYS(errno), "mapping a worker's board");
	b->map = (map_t){ at, sizeof(struct shared) };
	return OK;
}

/* A fork for the next worker need not copy those of all before it. */
static err_t map_here(int memfd, struct diag *d, struct board *b)
{
	TRY(map(memfd, d, b));
	(void)madvise(b->map.base, b->map.len, MADV_DONTFORK);
	return OK;
}

err_t board_new(struct diag *d, struct board *ret)
{
	owned_fd memfd = { memfd_create("spore-board", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	owned_fd event = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	/* Sealed in length: a worker that cut it would be a SIGBUS here. */
	if (!fd_is_open(memfd) || !fd_is_open(event) ||
	    ftruncate(memfd.raw, sizeof(struct shared)) != 0 ||
	    fcntl(memfd.raw, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a worker's board");
	TRY(map_here(memfd.raw, d, ret));
	atomic_store(&shared_of(ret)->waiting, 1);
	ret->memfd = fd_take(&memfd);
	ret->event = fd_take(&event);
	ret->can_write = false;
	return OK;
}

err_t board_adopt(struct board *b, struct diag *d)
{
	int seals = fcntl(b->memfd.raw, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(b->memfd.raw, &st) != 0 ||
	    st.st_size != sizeof(struct shared))
		return diag_fail(d, FAIL(ERR_STATE), "a worker's board is none");
	return map_here(b->memfd.raw, d, b);
}

err_t board_open(fd_t *memfd, fd_t *event, struct diag *d, struct board *ret)
{
	TRY(map(memfd->raw, d, ret));
	fd_drop(memfd);
	ret->memfd = FD_NONE;
	ret->event = fd_take(event);
	ret->can_write = true;
	return OK;
}

void board_drop(struct board *b)
{
	map_drop(&b->map);
	fd_drop(&b->memfd);
	fd_drop(&b->event);
}

/* syscalls(vcpu): write */
void board_write(struct board *b, const uint8_t *bytes, size_t n)
{
	struct shared *s = shared_of(b);
	uint64_t total = atomic_load_explicit(&s->total, memory_order_relaxed);

	assert(b->can_write);
	for (size_t done = 0; done < n;) {
		size_t at = (size_t)(total % BOARD_KEPT);
		size_t part = n - done < BOARD_KEPT - at ? n - done : BOARD_KEPT - at;

		memcpy(s->kept + at, bytes + done, part);
		done += part;
		total += part;
	}
	atomic_store(&s->total, total);
	if (atomic_exchange(&s->waiting, 0) != 0)
		(void)eventfd_write(b->event.raw, 1);
}

void board_ran(struct board *b, uint64_t entered_ns, uint64_t exited_ns)
{
	atomic_store(&shared_of(b)->entered, entered_ns);
	atomic_store(&shared_of(b)->exited, exited_ns);
}

static void copy_out(const struct shared *s, uint64_t from, uint8_t *to, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t at = (size_t)((from + done) % BOARD_KEPT);
		size_t part = n - done < BOARD_KEPT - at ? n - done : BOARD_KEPT - at;

		memcpy(to + done, s->kept + at, part);
		done += part;
	}
}

static uint64_t oldest(uint64_t total)
{
	return total > BOARD_KEPT ? total - BOARD_KEPT : 0;
}

/* What was overwritten while it was copied is not given. */
static size_t copy_whole(const struct shared *s, uint64_t *io_from, uint64_t total, uint8_t *to,
			 size_t cap)
{
	uint64_t from = *io_from < oldest(total) ? oldest(total) : *io_from, lost;
	size_t n;

	if (from > total)
		from = total;
	n = total - from < cap ? (size_t)(total - from) : cap;
	copy_out(s, from, to, n);
	lost = oldest(atomic_load(&s->total));
	if (lost > from) {
		size_t gone = lost - from < n ? (size_t)(lost - from) : n;

		memmove(to, to + gone, n - gone);
		from += gone;
		n -= gone;
	}
	*io_from = from;
	return n;
}

size_t board_read(struct board *b, uint64_t from, void *ret_bytes, size_t cap, uint64_t *ret_from)
{
	struct shared *s = shared_of(b);
	uint64_t total = atomic_load(&s->total);
	size_t n = copy_whole(s, &from, total, ret_bytes, cap);
	eventfd_t count;

	*ret_from = from;
	if (from + n != total)
		return n;
	/* Whatever the board says: the event would wake us for ever. */
	(void)eventfd_read(b->event.raw, &count);
	atomic_store(&s->waiting, 1);
	/* What came in between has seen nobody waiting. */
	if (atomic_load(&s->total) != total && atomic_exchange(&s->waiting, 0) != 0)
		(void)eventfd_write(b->event.raw, 1);
	return n;
}

uint64_t board_entered(const struct board *b)
{
	return atomic_load(&shared_of(b)->entered);
}

uint64_t board_exited(const struct board *b)
{
	return atomic_load(&shared_of(b)->exited);
}
