/* SPDX-License-Identifier: Apache-2.0 */
/* A mount namespace whose root is one file system, empty and read-only, moved over the old root as a
 * kernel that boots does it (Documentation/filesystems/ramfs-rootfs-initramfs.rst, switch_root). No
 * name leads below it: a path begins at the process's root, which chroot has put on top, and to leave
 * that takes a descriptor of a folder, or a right, and neither is left. pivot_root(2) would say the
 * same with more work: it looks at every thread of the host for one that stands on the old root, which
 * makes the thousandth worker's start many times as long as the first's. */
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
	if (chdir(PLACE) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    chdir("/") != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "changing the root folder");
	return OK;
}
