/* SPDX-License-Identifier: Apache-2.0 */
/* user_namespaces(7): one identity is mapped, and setgroups is off for good, so that membership in
 * a group cannot be given up to get around a file that denies that group. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "machine/jail/jail_parts.h"

static int text_write(pid_t pid, const char *name, const char *text)
{
	char path[64];
	size_t len = strlen(text);
	owned_fd f = FD_NONE;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	f.raw = open(path, O_WRONLY | O_CLOEXEC);
	if (!fd_is_open(f) || write(f.raw, text, len) != (ssize_t)len)
		return errno;
	return 0;
}

int identity_map(pid_t pid, uint32_t uid, uint32_t gid)
{
	char uids[32], gids[32];
	int failure = text_write(pid, "setgroups", "deny");

	(void)snprintf(uids, sizeof uids, "0 %u 1\n", uid);
	(void)snprintf(gids, sizeof gids, "0 %u 1\n", gid);
	if (failure == 0)
		failure = text_write(pid, "uid_map", uids);
	return failure != 0 ? failure : text_write(pid, "gid_map", gids);
}
