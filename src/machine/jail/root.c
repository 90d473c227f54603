/* SPDX-License-Identifier: Apache-2.0 */
/* A root folder that is one file system, empty and read-only, in a mount namespace of its own. No path
 * leads out of it: that takes a descriptor of a folder, or a right, and neither is left. Being chrooted
 * also forbids user namespaces within this one, where every user could be root again (the kernel's
 * create_user_ns). pivot_root(2) would do more work for less: it looks at every thread of the host for
 * one that stands on the old root, which makes the thousandth worker's start many times as long as the
 * first's. */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

/* A folder that every system has; what is in it does not matter, and is not changed. */
#define PLACE "/proc"

static err_t root_mount(struct diag *d)
{
	/* Nothing that is mounted here, or outside from now on, passes to the other side. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "making the mounts private");
	if (mount("none", PLACE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0555,nr_inodes=1,size=4096") != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "mounting an empty folder");
	return OK;
}

err_t root_empty(struct diag *d)
{
	if (unshare(CLONE_NEWNS) != 0)
		return jail_refused(JAIL_MOUNTNS, errno, d);
	TRY(root_mount(d));
	if (chroot(PLACE) != 0 || chdir("/") != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "changing the root folder");
	return OK;
}
