/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads, writes, zeroing and copies on a descriptor: the kernel's calls may do less than they
 * were asked for, these do not. Offsets and lengths are the caller's to judge. */
#pragma once

#include <sys/uio.h>

#include "base/err.h"

/* A list of buffers being used up from the front. */
struct io {
	const struct iovec *iov;
	size_t n;
	size_t skip; /* bytes of iov[0] that are done */
};

/* The next `len` bytes of the list, from or to the file at `at`. ERR_DISK when the file ends
 * early. */
must_check err_t file_read(int fd, uint64_t at, struct io *io, uint64_t len);
must_check err_t file_write(int fd, uint64_t at, struct io *io, uint64_t len);

/* The range reads as zeroes; `unmap`: as a hole where the file system can. */
must_check err_t file_zero(int fd, uint64_t at, uint64_t len, bool unmap);
/* A hole where the file system can, and nothing where it cannot. */
must_check err_t file_punch(int fd, uint64_t at, uint64_t len);

/* The range into the same place of another file, in which it is a hole so far. Holes stay holes;
 * blocks are shared where the file system can. */
must_check err_t file_copy(int from, int to, uint64_t at, uint64_t len);

/* The same by reading and writing alone, through memory of the caller's. */
enum { FILE_CHUNK = 65536 };
must_check err_t file_copy_through(uint8_t buf[static FILE_CHUNK], int from, int to, uint64_t at,
				   uint64_t len);

must_check bool bytes_are_zero(const void *bytes, size_t n);
