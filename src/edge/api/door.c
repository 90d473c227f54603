/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets in the file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "edge/api/door.h"

static bool address_of(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof ret->sun_path)
		return false;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return true;
}

/* A socket whose owner is gone refuses (unix(7)); only such a one may be replaced. */
static bool abandoned(const struct sockaddr_un *a, int type)
{
	struct stat st;
	owned_fd probe = { socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };

	if (probe.raw < 0 || lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	return connect(probe.raw, (const struct sockaddr *)a, sizeof *a) < 0 &&
	       errno == ECONNREFUSED;
}

static err_t bind_listen(int fd, const struct sockaddr_un *a, const char *path, struct diag *d)
{
	mode_t old = umask(0077);
	int n = bind(fd, (const struct sockaddr *)a, sizeof *a);

	(void)umask(old);
	if (n < 0 && errno == EADDRINUSE)
		return diag_fail(d, FAIL(ERR_EXISTS), "Failed to open the API socket at: %s. Check "
				 "that it is not already used.", path);
	if (n < 0 || listen(fd, 16) < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: socket", path);
	return OK;
}

err_t door_open(const char *path, const char *bind_path, int type, struct diag *d,
		struct door *ret)
{
	owned_fd fd = { socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	struct sockaddr_un a;
	struct stat st;

	if (fd.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: socket", path);
	if (path[0] == '\0' || !address_of(bind_path, &a))
		return diag_fail(d, FAIL(ERR_USAGE), "%s: socket path has %zu bytes, expected 1 to "
				 "%zu", path, strlen(path), sizeof a.sun_path - 1);
	if (abandoned(&a, type))
		(void)unlink(a.sun_path);
	TRY(bind_listen(fd.raw, &a, path, d));
	if (lstat(bind_path, &st) < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: socket", path);
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	(void)snprintf(ret->path, sizeof ret->path, "%s", path);
	ret->fd = fd_take(&fd);
	return OK;
}

err_t door_open_in(const struct run_claim *c, const char *file, int type, struct diag *d,
		   struct door *ret)
{
	char path[RUN_PATH_MAX + 32], short_path[RUN_PATH_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/%s", c->path, file);
	run_socket_path(c->path, c->folder.raw, file, short_path, sizeof short_path);
	return door_open(path, short_path, type, d, ret);
}

/* Not a socket that somebody else has put there since. */
void door_close(struct door *door)
{
	struct stat st;

	if (fd_is_open(door->fd) && lstat(door->path, &st) == 0 && st.st_dev == door->dev &&
	    st.st_ino == door->ino)
		(void)unlink(door->path);
	fd_drop(&door->fd);
}
