/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/disk/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"

enum { BATCH = 64, CHUNK = FILE_CHUNK };

/* The front of the list, at most `len` bytes and BATCH pieces. */
static size_t io_window(const struct io *io, uint64_t len, struct iovec ret[BATCH])
{
	size_t n = 0, skip = io->skip;

	for (size_t i = 0; i < io->n && n < BATCH && len != 0; i++, skip = 0) {
		size_t piece = io->iov[i].iov_len - skip;

		if (piece > len)
			piece = (size_t)len;
		if (piece == 0)
			continue;
		ret[n++] = (struct iovec){ (char *)io->iov[i].iov_base + skip, piece };
		len -= piece;
	}
	return n;
}

static void io_advance(struct io *io, size_t done)
{
	while (io->n != 0 && done >= io->iov->iov_len - io->skip) {
		done -= io->iov->iov_len - io->skip;
		io->iov++;
		io->n--;
		io->skip = 0;
	}
	io->skip += done;
}

static err_t file_move(int fd, uint64_t at, struct io *io, uint64_t len,
		       ssize_t (*call)(int, const struct iovec *, int, off_t))
{
	while (len != 0) {
		struct iovec part[BATCH];
		ssize_t n = call(fd, part, (int)io_window(io, len, part), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return FAIL_SYS(errno);
		if (n == 0)
			return FAIL(ERR_DISK);
		io_advance(io, (size_t)n);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return OK;
}

/* syscalls(device): preadv pwritev */
err_t file_read(int fd, uint64_t at, struct io *io, uint64_t len)
{
	return file_move(fd, at, io, len, preadv);
}

err_t file_write(int fd, uint64_t at, struct io *io, uint64_t len)
{
	return file_move(fd, at, io, len, pwritev);
}

bool bytes_are_zero(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	return n == 0 || (b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
}

static bool cannot(int err)
{
	return err == EOPNOTSUPP || err == ENOSYS || err == EINVAL || err == ENODEV;
}

/* syscalls(device): fallocate */
/* False: this file cannot do that. */
static err_t file_allocate(int fd, int mode, uint64_t at, uint64_t len, bool *ret_done)
{
	while (fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) != 0) {
		if (cannot(errno)) {
			*ret_done = false;
			return OK;
		}
		if (errno != EINTR)
			return FAIL_SYS(errno);
	}
	*ret_done = true;
	return OK;
}

static err_t zeroes_write(int fd, uint64_t at, uint64_t len)
{
	static const uint8_t zeroes[CHUNK];

	while (len != 0) {
		size_t n = len < CHUNK ? (size_t)len : CHUNK;
		/* Never written to: the structure serves both directions. */
		struct iovec iov = { (void *)(uintptr_t)zeroes, n };
		struct io io = { &iov, 1, 0 };

		TRY(file_write(fd, at, &io, n));
		at += n;
		len -= n;
	}
	return OK;
}

err_t file_zero(int fd, uint64_t at, uint64_t len, bool unmap)
{
	bool done = false;

	if (len == 0)
		return OK;
	if (unmap)
		TRY(file_allocate(fd, FALLOC_FL_PUNCH_HOLE, at, len, &done));
	if (!done)
		TRY(file_allocate(fd, FALLOC_FL_ZERO_RANGE, at, len, &done));
	return done ? OK : zeroes_write(fd, at, len);
}

err_t file_punch(int fd, uint64_t at, uint64_t len)
{
	bool done;

	return len == 0 ? OK : file_allocate(fd, FALLOC_FL_PUNCH_HOLE, at, len, &done);
}

err_t file_copy_through(uint8_t buf[static FILE_CHUNK], int from, int to, uint64_t at, uint64_t len)
{
	while (len != 0) {
		size_t n = len < CHUNK ? (size_t)len : CHUNK;
		struct iovec iov = { buf, n };
		struct io in = { &iov, 1, 0 }, out = { &iov, 1, 0 };

		TRY(file_read(from, at, &in, n));
		if (!bytes_are_zero(buf, n))
			TRY(file_write(to, at, &out, n));
		at += n;
		len -= n;
	}
	return OK;
}

static err_t bytes_copy(int from, int to, uint64_t at, uint64_t len)
{
	owned_heap uint8_t *buf = malloc(CHUNK);

	return buf == NULL ? FAIL(ERR_NOMEM) : file_copy_through(buf, from, to, at, len);
}

/* Data without holes. */
static err_t data_copy(int from, int to, uint64_t at, uint64_t len)
{
	while (len != 0) {
		off_t in = (off_t)at, out = (off_t)at;
		ssize_t n = copy_file_range(from, &in, to, &out, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (cannot(errno) || errno == EXDEV))
			return bytes_copy(from, to, at, len);
		if (n < 0)
			return FAIL_SYS(errno);
		if (n == 0)
			return FAIL(ERR_DISK);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return OK;
}

err_t file_copy(int from, int to, uint64_t at, uint64_t len)
{
	uint64_t end = at + len;

	while (at < end) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return OK;
		if (data < 0 && cannot(errno)) /* a block device: all data */
			return bytes_copy(from, to, at, end - at);
		if (data < 0)
			return FAIL_SYS(errno);
		if ((uint64_t)data >= end)
			return OK;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return FAIL_SYS(errno);
		if ((uint64_t)hole > end)
			hole = (off_t)end;
		TRY(data_copy(from, to, (uint64_t)data, (uint64_t)(hole - data)));
		at = (uint64_t)hole;
	}
	return OK;
}
