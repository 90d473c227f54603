/* SPDX-License-Identifier: Apache-2.0 */
/* jail_enter: the order in which a worker loses what it has. */
#include "machine/jail/jail.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

static const char *const words[] = {
#define X(name, number, word) [number] = (word),
	JAIL_WALLS(X)
#undef X
};
static_assert(JAIL_WALLS_ALL == (1 << countof(words)) - 1, "a bit per wall");

const char *jail_wall_word(enum jail_wall w)
{
	return words[w];
}

bool jail_wall_parse(const char *word, enum jail_wall *ret_wall)
{
	for (size_t i = 0; i < countof(words); i++) {
		if (strcmp(words[i], word) == 0) {
			*ret_wall = (enum jail_wall)i;
			return true;
		}
	}
	return false;
}

err_t jail_refused(enum jail_wall w, int sys, struct diag *d)
{
	err_t e = { ERR_JAIL, sys };

	if (sys != 0)
		return diag_sys(d, e, "this host refuses a wall of the jail, %s, and nobody asked for "
				"a jail without it", jail_wall_word(w));
	return diag_fail(d, e, "this host lacks a wall of the jail, %s, and nobody asked for a jail "
			 "without it", jail_wall_word(w));
}

/* Namespaces, Landlock and capabilities are a thread's own: one that exists already would keep
 * what it has. Each thread is a folder in there (proc(5)). */
static err_t check_alone(struct diag *d)
{
	struct stat st;

	if (stat("/proc/self/task", &st) != 0)
		return diag_sys(d, FAIL_SYS(errno), "/proc/self/task: counting threads");
	if (st.st_nlink != 3)
		return diag_fail(d, FAIL(ERR_STATE), "a process enters its jail with one thread, "
				 "this one has %u", (unsigned)st.st_nlink - 2);
	return OK;
}

static err_t check_born(const struct jail_options *o, struct diag *d)
{
	if (jail_has(o, JAIL_PIDNS) && getpid() != 1)
		return diag_fail(d, FAIL(ERR_STATE), "a process enters its jail as the first of its "
				 "pid namespace, this one has number %d", (int)getpid());
	return check_alone(d);
}

static err_t attach_refuse(struct diag *d)
{
	/* Neither a core nor ptrace(2) nor /proc/PID/mem, for other processes of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		return diag_sys(d, FAIL_SYS(errno), "PR_SET_DUMPABLE");
	return OK;
}

err_t jail_enter(const struct jail_options *o, struct diag *d)
{
	TRY(check_born(o, d));
	TRY(descriptors_close(o->keep, o->n_keep, d));
	if (jail_has(o, JAIL_MOUNTNS))
		TRY(root_empty(d));
	TRY(limits_set(o, d));
	TRY(privileges_drop(o, d));
	if (jail_has(o, JAIL_LANDLOCK))
		TRY(landlock_enter(d));
	return attach_refuse(d);
}
