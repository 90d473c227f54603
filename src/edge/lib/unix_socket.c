/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static bool address_of(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof ret->sun_path)
		return false;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return true;
}

err_t socket_connect(const char *path, int type, struct diag *d, fd_t *ret_fd)
{
	const struct timeval patience = { 5, 0 };
	owned_fd fd = { socket(AF_UNIX, type | SOCK_CLOEXEC, 0) };
	struct sockaddr_un a;

	if (!address_of(path, &a))
		return diag_fail(d, FAIL(ERR_USAGE), "%s: socket path has %zu bytes, expected at "
				 "most %zu", path, strlen(path), sizeof a.sun_path - 1);
	if (fd.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: socket", path);
	/* A monitor that accepts nobody, with a queue that is full (unix(7)). */
	(void)setsockopt(fd.raw, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd.raw, (const struct sockaddr *)&a, sizeof a) < 0)
		return errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK
		       ? diag_fail(d, FAIL(ERR_NOT_FOUND), "%s: nobody listens there", path)
		       : diag_sys(d, FAIL_SYS(errno), "%s", path);
	*ret_fd = fd_take(&fd);
	return OK;
}
