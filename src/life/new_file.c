/* SPDX-License-Identifier: Apache-2.0 */
#include "life/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static err_t split(const char *path, char *dir, size_t dir_cap, struct new_file *f, struct diag *d)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	size_t dir_len = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return diag_fail(d, FAIL(ERR_USAGE), "%s: a file name was expected", path);
	if (strlen(name) >= sizeof f->name || dir_len >= dir_cap)
		return diag_fail(d, FAIL(ERR_USAGE), "%.60s…: the name is too long", path);
	(void)snprintf(f->name, sizeof f->name, "%s", name);
	(void)snprintf(dir, dir_cap, "%.*s", (int)dir_len, path);
	if (dir_len == 0)
		(void)snprintf(dir, dir_cap, ".");
	return OK;
}

static void make_temporary_name(struct new_file *f)
{
	uint64_t r;

	/* Only has to differ from the names of others at work here; O_EXCL and linkat see to it. */
	if (getrandom(&r, sizeof r, 0) != sizeof r)
		r = (uint64_t)getpid();
	(void)snprintf(f->temporary, sizeof f->temporary, ".%.200s.%016llx.tmp", f->name,
		       (unsigned long long)r);
}

static bool no_unnamed_files(int error)
{
	return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

/* Without a name, or under a temporary one. */
static err_t create(struct new_file *f, struct diag *d)
{
	f->fd = (fd_t){ openat(f->dir.raw, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) };
	if (!fd_is_open(f->fd) && no_unnamed_files(errno)) {
		make_temporary_name(f);
		f->fd = (fd_t){ openat(f->dir.raw, f->temporary,
				       O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600) };
	}
	if (!fd_is_open(f->fd))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: cannot be created", f->name);
	return OK;
}

err_t new_file_open(const char *path, struct diag *d, struct new_file *ret)
{
	struct new_file f = NEW_FILE_NONE;
	owned_fd dir = FD_NONE;
	char dir_path[4096];
	struct stat st;

	TRY(split(path, dir_path, sizeof dir_path, &f, d));
	dir = (fd_t){ open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (!fd_is_open(dir))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: cannot open its folder", path);
	if (fstatat(dir.raw, f.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
		return diag_fail(d, FAIL(ERR_USAGE),
				 "%s: exists and is not a regular file, so it will not be replaced",
				 path);
	f.dir = dir;
	TRY(create(&f, d));
	f.dir = fd_take(&dir);
	*ret = f;
	return OK;
}

err_t new_file_beside(const struct new_file *of, const char *name, struct diag *d,
		      struct new_file *ret)
{
	owned_fd dir = { fcntl(of->dir.raw, F_DUPFD_CLOEXEC, 0) };
	struct new_file f = { .fd = FD_NONE, .dir = dir };

	if (!fd_is_open(dir))
		return diag_sys(d, FAIL_SYS(errno), "%s: cannot be created", name);
	(void)snprintf(f.name, sizeof f.name, "%s", name);
	TRY(create(&f, d));
	f.dir = fd_take(&dir);
	*ret = f;
	return OK;
}

err_t new_file_write(const struct new_file *f, const void *bytes, size_t n, uint64_t at,
		     struct diag *d)
{
	const uint8_t *from = bytes;

	while (n > 0) {
		ssize_t done = pwrite(f->fd.raw, from, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return diag_sys(d, FAIL_SYS(done < 0 ? errno : EIO), "%s: writing it", f->name);
		from += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return OK;
}

void new_file_start_sync(const struct new_file *f, uint64_t at, size_t n)
{
	(void)sync_file_range(f->fd.raw, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

/* An unnamed file gets a name that nobody has. */
static err_t link_as(const struct new_file *f, const char *name)
{
	char self[64];

	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd.raw);
	if (linkat(AT_FDCWD, self, f->dir.raw, name, AT_SYMLINK_FOLLOW) != 0)
		return FAIL_SYS(errno);
	return OK;
}

err_t new_file_name(struct new_file *f, struct diag *d)
{
	err_t e = OK;

	if (f->temporary[0] == '\0')
		e = link_as(f, f->name);
	else if (renameat2(f->dir.raw, f->temporary, f->dir.raw, f->name, RENAME_NOREPLACE) != 0)
		e = FAIL_SYS(errno);
	if (failed(e))
		return diag_sys(d, e, "%s: naming it", f->name);
	f->temporary[0] = '\0';
	f->named = true;
	return OK;
}

void new_file_unname(struct new_file *f)
{
	if (f->named)
		(void)unlinkat(f->dir.raw, f->name, 0);
	f->named = false;
}

/* linkat cannot replace, renameat can; so an unnamed file whose name is taken needs another one
 * first. */
static err_t take_name(struct new_file *f)
{
	err_t e;

	if (f->temporary[0] == '\0') {
		e = link_as(f, f->name);
		if (!failed(e) || e.sys != EEXIST)
			return e;
		make_temporary_name(f);
		e = link_as(f, f->temporary);
		if (failed(e)) {
			f->temporary[0] = '\0';
			return e;
		}
	}
	if (renameat(f->dir.raw, f->temporary, f->dir.raw, f->name) != 0)
		return FAIL_SYS(errno);
	f->temporary[0] = '\0';
	return OK;
}

err_t new_file_replace(struct new_file *f, struct diag *d)
{
	err_t e;

	if (fsync(f->fd.raw) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: making it durable", f->name);
	e = take_name(f);
	return failed(e) ? diag_sys(d, e, "%s: naming it", f->name) : OK;
}

err_t new_file_sync_names(const struct new_file *f, struct diag *d)
{
	/* EINVAL: a file system whose folders cannot be synced (fsync(2)). */
	if (fsync(f->dir.raw) != 0 && errno != EINVAL)
		return diag_sys(d, FAIL_SYS(errno), "%s: making its name durable", f->name);
	return OK;
}

void new_file_drop(struct new_file *f)
{
	if (f->temporary[0] != '\0')
		(void)unlinkat(f->dir.raw, f->temporary, 0);
	f->temporary[0] = '\0';
	fd_drop(&f->fd);
	fd_drop(&f->dir);
}
