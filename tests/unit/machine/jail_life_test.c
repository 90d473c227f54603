/* SPDX-License-Identifier: Apache-2.0 */
/* How a jailed process is born, what it finds itself to be, and how it ends. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/jailed.h"
#include "support/test.h"

/* ---- what it finds itself to be: the number of the line that is not so, from 1 ---- */

static int find_self(void *ctx)
{
	const int *leaked = ctx;
	struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } caps[2];
	struct stat null;
	DIR *root;

	if (getpid() != 1 || getppid() != 0)
		return 1;
	if (syscall(SYS_capget, &head, caps) != 0 || caps[0].effective || caps[0].permitted ||
	    caps[0].inheritable || caps[1].effective || caps[1].permitted)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
		return 3;
	if (prctl(PR_CAPBSET_READ, 21) != 0) /* CAP_SYS_ADMIN */
		return 4;
	if (fcntl(*leaked, F_GETFD) >= 0 || errno != EBADF)
		return 5;
	if (fstat(0, &null) != 0 || !S_ISCHR(null.st_mode) || fstat(1, &null) != 0 ||
	    !S_ISCHR(null.st_mode) || write(1, "x", 1) != 1)
		return 6;
	root = opendir("/");
	if (root != NULL) /* where Landlock is not there to forbid it */
		return 7;
	return 0;
}

static void self_is_found(void)
{
	int leaked = dup(1), status; /* not close-on-exec */
	struct jail_options o = jailed_options();

	status = jailed_run(&o, find_self, &leaked);
	if (status != 0)
		fail_msg("find_self: %d", WEXITSTATUS(status));
	(void)close(leaked);
}

static void a_worker_is_nobody_and_has_nothing(void **state)
{
	(void)state;
	jails_needed();
	self_is_found();
	as_user(self_is_found);
}

/* As a worker does it: born in the supervisor, another program when it enters. */
static void program_is_executed(void)
{
	struct jail_options o = jailed_options();
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), leaked = dup(1), status;
	char number[16];
	char *argv[] = { "jailed", "enter", number, NULL };
	struct diag d = DIAG_INIT;
	struct born c;

	(void)snprintf(number, sizeof number, "%d", leaked);
	if (failed(jailed_bear(&o, &d, &c)))
		fail_msg("%s", d.text);
	if (c.pid == 0) {
		(void)syscall(SYS_execveat, self, "", argv, environ, AT_EMPTY_PATH);
		_exit(100);
	}
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	if (status != 0)
		fail_msg("status %#x", (unsigned)status);
	fd_drop(&c.pidfd);
	(void)close(self);
	(void)close(leaked);
}

static int enter_and_find_self(const char *leaked)
{
	struct jail_options o = jailed_options();
	struct diag d = DIAG_INIT;
	int fd = (int)strtol(leaked, NULL, 10);

	if (failed(jail_enter(&o, &d))) {
		(void)dprintf(2, "%s\n", d.text);
		_exit(101);
	}
	_exit(find_self(&fd));
}

static void another_program_can_enter(void **state)
{
	(void)state;
	jails_needed();
	program_is_executed();
	as_user(program_is_executed);
}

static int find_root_empty(void *ctx)
{
	DIR *root = opendir("/");
	struct dirent *e;

	(void)ctx;
	if (root == NULL)
		return 1;
	while ((e = readdir(root)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return 2;
	return mkdir("/x", 0700) == 0 ? 3 : 0;
}

static void the_root_is_empty(void **state)
{
	struct jail_options o = jailed_options();

	(void)state;
	jails_needed();
	o.without = JAIL_WITHOUT(JAIL_LANDLOCK);
	assert_int_equal(jailed_run(&o, find_root_empty, NULL), 0);
}

/* As seen from outside: the user that root was told to take, and only that one. */
static void a_worker_of_root_is_another_user(void **state)
{
	struct jail_options o = jailed_options();
	char path[64], line[256];
	unsigned uid[4] = { 0 }, gid[4] = { 0 };
	gid_t groups[64], extra = 4;
	int hold[2], there[2], n_groups;
	struct born c;
	FILE *f;

	(void)state;
	jails_needed();
	if (geteuid() != 0) {
		print_message("only root has other users' rights\n");
		skip();
	}
	n_groups = getgroups(countof(groups), groups);
	assert_true(n_groups >= 0);
	assert_int_equal(setgroups(1, &extra), 0);
	assert_int_equal(pipe(hold), 0);
	assert_int_equal(pipe(there), 0);
	assert_false(failed(jailed_bear(&o, NULL, &c)));
	if (c.pid == 0) {
		(void)close(hold[1]);
		(void)!write(there[1], "t", 1);
		_exit((int)read(hold[0], line, 1));
	}
	assert_int_equal(read(there[0], line, 1), 1); /* and has become what it is to be */
	(void)close(there[0]);
	(void)close(there[1]);
	assert_int_equal(setgroups((size_t)n_groups, groups), 0);
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)c.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		(void)sscanf(line, "Uid: %u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]);
		(void)sscanf(line, "Gid: %u %u %u %u", &gid[0], &gid[1], &gid[2], &gid[3]);
		if (strncmp(line, "Groups:", 7) == 0)
			assert_int_equal(strspn(line + 7, "\t \n"), strlen(line + 7));
	}
	(void)fclose(f);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(uid[i], o.uid);
		assert_int_equal(gid[i], o.uid);
	}
	(void)close(hold[1]);
	assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
	(void)close(hold[0]);
	fd_drop(&c.pidfd);
}

/* ---- namespaces ---- */

static const char *const spaces[] = { "user", "pid", "ipc", "uts", "net" };

static uint64_t space_of_self(const char *name)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void spaces_are_new(void)
{
	struct jail_options o = jailed_options();
	uint64_t outside[countof(spaces)];
	struct born c;
	int status;

	for (size_t i = 0; i < countof(spaces); i++)
		outside[i] = space_of_self(spaces[i]);
	assert_false(failed(jailed_bear(&o, NULL, &c)));
	for (size_t i = 0; i < countof(spaces) && c.pid == 0; i++) {
		if (space_of_self(spaces[i]) == 0 || space_of_self(spaces[i]) == outside[i])
			_exit(1 + (int)i);
	}
	if (c.pid == 0)
		_exit(0);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	fd_drop(&c.pidfd);
	if (status != 0)
		fail_msg("status %#x: %s", (unsigned)status,
			 WIFEXITED(status) ? spaces[WEXITSTATUS(status) - 1] : "died");
}

static void a_worker_has_its_own_namespaces(void **state)
{
	(void)state;
	jails_needed();
	spaces_are_new();
	as_user(spaces_are_new);
}

static uint64_t netns_of(int fd)
{
	struct stat st;

	assert_int_equal(fd < 0 ? stat("/proc/self/ns/net", &st) : fstat(fd, &st), 0);
	return st.st_ino;
}

static void netns_is_shared(void)
{
	struct jail_options o = jailed_options();
	struct diag d = DIAG_INIT;
	owned_fd net = FD_NONE;

	if (failed(jail_netns_new(&d, &net)))
		fail_msg("%s", d.text);
	assert_true(netns_of(net.raw) != netns_of(-1));
	o.netns = net.raw;
	for (int i = 0; i < 2; i++) {
		struct born c;
		int status;

		if (failed(jailed_bear(&o, &d, &c)))
			fail_msg("%s", d.text);
		if (c.pid == 0)
			_exit(netns_of(-1) == netns_of(net.raw) && getpid() == 1 ? 0 : 1);
		assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
		assert_int_equal(status, 0);
		fd_drop(&c.pidfd);
	}
}

static void workers_share_one_network_namespace(void **state)
{
	(void)state;
	jails_needed();
	netns_is_shared();
	as_user(netns_is_shared);
}

/* ---- its end ---- */

static int die_of(void *ctx)
{
	const int *how = ctx;

	if (*how < 0)
		return -*how;
	(void)signal(SIGILL, SIG_DFL); /* cmocka has a handler */
	__builtin_trap();
}

static void a_death_is_reported_as_what_it_was(void **state)
{
	struct jail_options o = jailed_options();
	struct born c;
	int how = -17, status;

	(void)state;
	jails_needed();
	status = jailed_run(&o, die_of, &how);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 17);
	how = SIGILL; /* a fault, unlike a signal that it sends, ends even the first process */
	status = jailed_run(&o, die_of, &how);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
	/* from outside */
	assert_false(failed(jailed_bear(&o, NULL, &c)));
	if (c.pid == 0)
		(void)pause();
	assert_int_equal(syscall(SYS_pidfd_send_signal, c.pidfd.raw, SIGKILL, NULL, 0), 0);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fd_drop(&c.pidfd);
}

/* ---- cgroup ---- */

static bool cgroup_make(char *ret, size_t cap)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct stat st;

	for (size_t i = 0; i < countof(roots); i++) {
		char procs[128];

		(void)snprintf(procs, sizeof procs, "%s/cgroup.procs", roots[i]);
		(void)snprintf(ret, cap, "%s/spore-jail-test-%d", roots[i], (int)getpid());
		if (stat(procs, &st) == 0 && mkdir(ret, 0755) == 0)
			return true;
	}
	return false;
}

static void a_worker_is_in_its_cgroup(void **state)
{
	struct jail_options o = jailed_options();
	char group[96], path[128], listed[32] = "";
	struct born c;
	struct diag d = DIAG_INIT;
	int hold[2], file;

	(void)state;
	jails_needed();
	if (!cgroup_make(group, sizeof group)) {
		print_message("no cgroup can be made here\n");
		skip();
	}
	o.cgroup = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	if (failed(jailed_bear(&o, &d, &c)))
		fail_msg("%s", d.text);
	if (c.pid == 0) {
		(void)close(hold[1]);
		_exit((int)read(hold[0], listed, 1));
	}
	(void)snprintf(path, sizeof path, "%s/cgroup.procs", group);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(file, listed, sizeof listed - 1) > 0);
	(void)close(file);
	(void)close(hold[1]);
	assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
	(void)close(hold[0]);
	(void)close(o.cgroup);
	fd_drop(&c.pidfd);
	assert_int_equal(rmdir(group), 0);
	assert_int_equal(strtol(listed, NULL, 10), c.pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_is_nobody_and_has_nothing),
		cmocka_unit_test(another_program_can_enter),
		cmocka_unit_test(the_root_is_empty),
		cmocka_unit_test(a_worker_of_root_is_another_user),
		cmocka_unit_test(a_worker_has_its_own_namespaces),
		cmocka_unit_test(workers_share_one_network_namespace),
		cmocka_unit_test(a_death_is_reported_as_what_it_was),
		cmocka_unit_test(a_worker_is_in_its_cgroup),
	};

	if (argc == 3 && strcmp(argv[1], "enter") == 0)
		return enter_and_find_self(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
