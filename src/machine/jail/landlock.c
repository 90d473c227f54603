/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock (Documentation/userspace-api/landlock.rst): rights that are handled and that no rule
 * gives are denied, on every file there is. Descriptors that are open stay as they are. The
 * structure and the rights of all versions known here are written out, because the C library's
 * headers may be older than the kernel; an older kernel is asked for what it knows. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

#define LL_VERSION (1u << 0) /* LANDLOCK_CREATE_RULESET_VERSION */

/* struct landlock_ruleset_attr, as it has grown */
struct ruleset {
	uint64_t fs;
	uint64_t net;    /* since version 4 */
	uint64_t scoped; /* since version 6 */
};

/* What each version can deny. A newer one knows these too. */
static const struct { size_t size; struct ruleset all; } versions[] = {
	{ 8, { 0x1FFF, 0, 0 } },   /* 1: execute ... make symbolic links */
	{ 8, { 0x3FFF, 0, 0 } },   /* 2: link and rename across folders */
	{ 8, { 0x7FFF, 0, 0 } },   /* 3: truncate */
	{ 16, { 0x7FFF, 3, 0 } },  /* 4: bind and connect TCP */
	{ 16, { 0xFFFF, 3, 0 } },  /* 5: ioctl on devices */
	{ 24, { 0xFFFF, 3, 3 } },  /* 6: abstract sockets and signals to the outside */
};

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);

	return abi > 0 ? (int)abi : 0;
}

err_t landlock_enter(struct diag *d)
{
	int abi = landlock_abi();
	size_t version = abi < (int)countof(versions) ? (size_t)abi : countof(versions);
	owned_fd rules = FD_NONE;

	if (abi == 0)
		return jail_refused(JAIL_LANDLOCK, errno, d);
	rules.raw = (int)syscall(SYS_landlock_create_ruleset, &versions[version - 1].all,
				 versions[version - 1].size, 0);
	if (!fd_is_open(rules) || syscall(SYS_landlock_restrict_self, rules.raw, 0) != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "Landlock: closing the file system");
	return OK;
}
