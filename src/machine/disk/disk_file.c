/* SPDX-License-Identifier: Apache-2.0 */
/* The files under a disk: which may be one, whose they are, whether they are still the same. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "machine/disk/disk_parts.h"

/* O_NONBLOCK: a FIFO in its place must not hold us up; files and block devices ignore it. */
static int raw_open(const struct file_want *w)
{
	int flags = (w->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct open_how how = { .flags = (uint64_t)flags,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	if (!w->beneath)
		return openat(w->dir, w->path, flags);
	return (int)syscall(SYS_openat2, w->dir, w->path, &how, sizeof how);
}

static err_t size_of(int fd, struct diag *d, uint64_t *ret_size)
{
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) != 0)
		return diag_sys(d, FAIL_SYS(errno), "cannot be examined");
	if (S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return diag_fail(d, FAIL(ERR_DISK),
				 "is not a disk: expected a regular file or a block device");
	else if (ioctl(fd, BLKGETSIZE64, &size) != 0)
		return diag_sys(d, FAIL_SYS(errno), "has a size that cannot be read");
	if (size < DISK_SECTOR)
		return diag_fail(d, FAIL(ERR_DISK), "holds %" PRIu64 " bytes, expected at least "
				 "one sector of %d", size, DISK_SECTOR);
	if (size % DISK_SECTOR != 0)
		return diag_fail(d, FAIL(ERR_DISK), "holds %" PRIu64 " bytes, expected a multiple "
				 "of %d", size, DISK_SECTOR);
	*ret_size = size;
	return OK;
}

/* Open-file-description locks (fcntl(2)): they belong to this open file, not to the process, so
 * another open of it by anybody, ourselves included, is told apart. */
static err_t lock(int fd, bool exclusive, struct diag *d)
{
	struct flock l = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return OK;
	if (errno == EAGAIN || errno == EACCES)
		return diag_fail(d, FAIL(ERR_LOCKED), exclusive ?
				 "is in use by another machine, and this one would write to it" :
				 "is in use by another machine that writes to it");
	return diag_sys(d, FAIL_SYS(errno), "cannot be locked");
}

static err_t judged_open(const struct file_want *w, struct diag *d, fd_t *ret_file,
			 uint64_t *ret_size)
{
	owned_fd file = { raw_open(w) };

	if (file.raw < 0)
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "cannot be opened for %s",
				w->writable ? "reading and writing" : "reading");
	TRY(size_of(file.raw, d, ret_size));
	TRY(lock(file.raw, w->writable, d));
	*ret_file = fd_take(&file);
	return OK;
}

err_t disk_file_open(const struct file_want *w, struct diag *d, fd_t *ret_file, uint64_t *ret_size)
{
	uint64_t size = 0;
	err_t e = judged_open(w, d, ret_file, &size);

	if (failed(e)) {
		diag_prefix(d, w->path);
		return e;
	}
	*ret_size = size;
	return OK;
}

err_t disk_file_again(int fd, bool writable, struct diag *d, fd_t *ret)
{
	char link[64];

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	*ret = (fd_t){ open(link, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) };
	if (!fd_is_open(*ret))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "a disk's file cannot be opened again");
	return OK;
}

void disk_file_share(int fd)
{
	ignore(lock(fd, false, NULL));
}

/* syscalls(control): newfstatat=AT_EMPTY_PATH */
err_t disk_file_identify(int fd, const char *path, uint64_t size, struct diag *d,
			 struct disk_file *ret)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: cannot be examined", path);
	memset(ret, 0, sizeof *ret);
	memcpy(ret->path, path, strlen(path) + 1);
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = size;
	/* The time of a device node says nothing about the device. */
	if (S_ISREG(st.st_mode)) {
		ret->mtime_sec = st.st_mtim.tv_sec;
		ret->mtime_nsec = (uint32_t)st.st_mtim.tv_nsec;
	}
	return OK;
}

static err_t changed(const struct disk_file *was, struct diag *d, const char *what)
{
	return diag_fail(d, FAIL(ERR_CHANGED), "%s: has changed since the snapshot: another %s",
			 was->path, what);
}

err_t disk_file_compare(const struct disk_file *was, const struct disk_file *is, struct diag *d)
{
	if (was->size != is->size)
		return diag_fail(d, FAIL(ERR_CHANGED), "%s: has changed since the snapshot: holds "
				 "%" PRIu64 " bytes, expected %" PRIu64, was->path, is->size,
				 was->size);
	if (was->dev != is->dev)
		return changed(was, d, "device");
	if (was->ino != is->ino)
		return changed(was, d, "inode");
	if (was->mtime_sec != is->mtime_sec || was->mtime_nsec != is->mtime_nsec)
		return changed(was, d, "modification time");
	return OK;
}
