/* SPDX-License-Identifier: Apache-2.0 */
/* Limits (getrlimit(2)), capabilities (capabilities(7)), the user. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

err_t limits_set(const struct jail_options *o, struct diag *d)
{
	const struct { int what; uint64_t most; const char *word; } all[] = {
		{ RLIMIT_NOFILE, o->limits.files, "descriptors" },
		{ RLIMIT_FSIZE, o->limits.file_bytes, "the size of files" },
		{ RLIMIT_CORE, 0, "core files" },
		{ RLIMIT_MEMLOCK, 0, "locked memory" },
		{ RLIMIT_MSGQUEUE, 0, "message queues" },
		{ RLIMIT_RTPRIO, 0, "real-time priority" },
		/* Counted per user and user namespace: without one, an ordinary user's others
		 * would count too. */
		{ RLIMIT_NPROC, o->limits.threads, "threads" },
	};
	bool alone = jail_has(o, JAIL_USERNS) || geteuid() == 0;

	for (size_t i = 0; i < countof(all); i++) {
		struct rlimit l = { all[i].most, all[i].most };

		if (all[i].what == RLIMIT_NPROC && !alone)
			continue;
		if (setrlimit((__rlimit_resource_t)all[i].what, &l) != 0)
			return diag_sys(d, FAIL_SYS(errno), "limiting %s", all[i].word);
	}
	return OK;
}

/* What a program that is executed, or a change of user, could give back. */
static err_t bounds_drop(struct diag *d)
{
	const int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (prctl(PR_SET_SECUREBITS, bits) != 0)
		return diag_sys(d, FAIL_SYS(errno), "PR_SET_SECUREBITS");
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	/* of the first that this kernel does not know */
	return errno == EINVAL ? OK : diag_sys(d, FAIL_SYS(errno), "PR_CAPBSET_DROP");
}

static err_t user_become(uint32_t uid, struct diag *d)
{
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return diag_sys(d, FAIL_SYS(errno), "becoming user %u", uid);
	return OK;
}

err_t privileges_drop(const struct jail_options *o, struct diag *d)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (geteuid() == 0) /* in a user namespace, or of the host */
		TRY(bounds_drop(d));
	if (geteuid() == 0 && !jail_has(o, JAIL_USERNS))
		TRY(user_become(o->uid, d));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
	    syscall(SYS_capset, &head, none) != 0)
		return diag_sys(d, FAIL_SYS(errno), "giving up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return diag_sys(d, FAIL_SYS(errno), "PR_SET_NO_NEW_PRIVS");
	return OK;
}
