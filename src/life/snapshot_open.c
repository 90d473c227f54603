/* SPDX-License-Identifier: Apache-2.0 */
/* file -> snapshot: reads everything before the RAM checksums into private memory and has it
 * judged. Reads no RAM. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "life/phases.h"
#include "life/snapshot_file.h"

enum { FIRST_READ = 16384 };

static err_t read_exactly(int fd, void *to, size_t n, uint64_t at, struct diag *d)
{
	uint8_t *p = to;

	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_sys(d, (err_t){ ERR_FILE, errno }, "cannot be read");
		if (got == 0)
			return diag_fail(d, FAIL(ERR_TRUNCATED),
					 "ends at byte %" PRIu64 ", more was expected", at);
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

static err_t zero_check(const uint8_t *bytes, size_t n, uint64_t at, struct diag *d)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0) {
			diag_offset(d, at + i);
			return diag_field(d, FAIL(ERR_RESERVED), "padding", "bytes",
					  "byte %" PRIu64 " before RAM is not zero", at + i);
		}
	}
	return OK;
}

/* The padding before RAM must be zero. What of it came with the first read is looked at there; the
 * rest is a hole in our own files, so asking costs one call; elsewhere it is read. */
static err_t check_padding(const struct snapshot *s, const uint8_t *first, size_t first_len,
			   struct diag *d)
{
	const struct snap_row *sums = image_row(s->image, SECT_RAM_SUMS, 0);
	const struct snap_row *ram = image_row(s->image, SECT_RAM, 0);
	uint64_t at = sums->offset.v + sums->size.v, end = ram->offset.v;
	uint8_t page[4096];

	if (at < first_len) {
		uint64_t seen = first_len < end ? first_len : end;

		TRY(zero_check(first + at, (size_t)(seen - at), at, d));
		at = seen;
	}
	while (at < end) {
		off_t data = lseek(s->fd.raw, (off_t)at, SEEK_DATA);
		size_t n;

		if (data < 0 ? errno == ENXIO : (uint64_t)data >= end)
			return OK; /* a file system without holes reports the position itself */
		if (data > 0 && (uint64_t)data > at)
			at = (uint64_t)data;
		n = end - at < sizeof page ? (size_t)(end - at) : sizeof page;
		TRY(read_exactly(s->fd.raw, page, n, at, d));
		TRY(zero_check(page, n, at, d));
		at += n;
	}
	return OK;
}

static err_t read_and_judge(struct snapshot *s, struct diag *d)
{
	uint8_t first[FIRST_READ];
	owned_heap uint8_t *meta = NULL;
	struct stat st;
	size_t first_len;
	bytes_t need;

	if (fstat(s->fd.raw, &st) != 0)
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return diag_fail(d, FAIL(ERR_FILE), "is not a regular file");
	s->mtime_sec = st.st_mtim.tv_sec;
	s->mtime_nsec = st.st_mtim.tv_nsec;
	first_len = st.st_size < FIRST_READ ? (size_t)st.st_size : FIRST_READ;
	TRY(read_exactly(s->fd.raw, first, first_len, 0, d));
	TRY(image_extent(cur_of(first, first_len), FOFF((uint64_t)st.st_size), d, &need));
	if (need.v <= first_len) {
		TRY(image_parse(cur_of(first, (size_t)need.v), FOFF((uint64_t)st.st_size), d,
				&s->image));
		return check_padding(s, first, first_len, d);
	}
	meta = malloc((size_t)need.v);
	if (meta == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(meta, first, first_len);
	TRY(read_exactly(s->fd.raw, meta + first_len, (size_t)need.v - first_len, first_len, d));
	TRY(image_parse(cur_of(meta, (size_t)need.v), FOFF((uint64_t)st.st_size), d, &s->image));
	return check_padding(s, first, first_len, d);
}

/* Takes the descriptor. */
static err_t open_fd(fd_t file, const char *path, struct diag *d, struct snapshot **ret_snap)
{
	owned_fd fd = file;
	struct snapshot *s = calloc(1, sizeof *s);
	err_t e;

	if (s == NULL)
		return FAIL(ERR_NOMEM);
	s->fd = fd_take(&fd);
	s->path = strdup(path);
	e = s->path == NULL ? FAIL(ERR_NOMEM) : read_and_judge(s, d);
	if (failed(e)) {
		diag_prefix(d, path);
		snapshot_free(s);
		return e;
	}
	*ret_snap = s;
	return OK;
}

err_t snapshot_open(const char *path, struct diag *d, struct snapshot **ret_snap)
{
	uint64_t began = clock_ns();
	/* Not blocking: a FIFO must not hold us before it can be refused. */
	owned_fd fd = { open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) };
	struct snapshot *s;

	if (!fd_is_open(fd))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: cannot be opened", path);
	TRY(open_fd(fd_take(&fd), path, d, &s));
	s->load_ns = clock_ns() - began;
	*ret_snap = s;
	return OK;
}

err_t snapshot_judge_written(int file, const char *path, struct diag *d)
{
	owned_fd fd = { fcntl(file, F_DUPFD_CLOEXEC, 0) };
	struct snapshot *s;
	err_t e;

	if (!fd_is_open(fd))
		return diag_sys(d, FAIL_SYS(errno), "%s: reading it back", path);
	e = open_fd(fd_take(&fd), path, d, &s);
	if (failed(e))
		return FAIL(ERR_INTERNAL);
	snapshot_free(s);
	return OK;
}

const struct image *snapshot_image(const struct snapshot *s)
{
	return s->image;
}

void snapshot_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	fd_drop(&s->fd);
	free(s->path);
	image_free(s->image);
	free(s);
}
