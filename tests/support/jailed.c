/* SPDX-License-Identifier: Apache-2.0 */
#include "support/jailed.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "support/test.h"

enum { NOBODY = 65534, BROKEN = 120 };

struct jail_options jailed_options(void)
{
	static const int keep[] = { 2 };

	return (struct jail_options){
		.uid = JAIL_UIDS + 7, .netns = -1, .cgroup = -1,
		.limits = { .files = 64, .file_bytes = 1 << 20, .threads = 8 },
		.keep = keep, .n_keep = countof(keep),
	};
}

struct raised {
	pid_t pid;
	err_t e;
	struct diag d;
};

/* Returns in the child alone. */
static void nursery_do(const struct jail_options *o, int to)
{
	struct raised r = { .d = DIAG_INIT };
	struct jail_nursery n;
	struct jail_birth b = { -1, FD_NONE };

	r.e = jail_nursery_enter(o, &r.d, &n);
	if (!failed(r.e))
		r.e = jail_bear(&n, &r.d, &b);
	if (b.pid == 0)
		return;
	if (!failed(r.e))
		r.e = jail_raise(&n, &b, &r.d);
	r.pid = b.pid;
	_exit(write(to, &r, sizeof r) == (ssize_t)sizeof r ? 0 : BROKEN);
}

err_t jailed_bear(const struct jail_options *o, struct diag *d, struct born *ret_born)
{
	struct raised r;
	pid_t nursery;
	int said[2];

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	nursery = fork();
	assert_true(nursery >= 0);
	if (nursery == 0) {
		nursery_do(o, said[1]);
		*ret_born = (struct born){ 0, FD_NONE };
		return OK;
	}
	assert_int_equal(read(said[0], &r, sizeof r), sizeof r);
	assert_int_equal(waitpid(nursery, NULL, 0), nursery);
	(void)close(said[0]);
	(void)close(said[1]);
	if (failed(r.e) && d != NULL)
		*d = r.d;
	if (failed(r.e) && r.pid > 0)
		(void)waitpid(r.pid, NULL, 0);
	if (!failed(r.e))
		*ret_born = (struct born){ r.pid, { (int)syscall(SYS_pidfd_open, r.pid, 0) } };
	return r.e;
}

static _Noreturn void job_do(const struct jail_options *o, int kind, jailed_job *job, void *ctx)
{
	struct diag d = DIAG_INIT;
	err_t e = jail_enter(o, &d);

	if (!failed(e) && kind >= 0)
		e = jail_filter_take((enum jail_thread)kind, &d);
	if (!failed(e))
		_exit(job(ctx));
	(void)dprintf(2, "no jail: %s\n", d.text);
	_exit(BROKEN);
}

static int run(const struct jail_options *o, int kind, jailed_job *job, void *ctx)
{
	struct born c;
	struct diag d = DIAG_INIT;
	int status;

	if (failed(jailed_bear(o, &d, &c)))
		fail_msg("no birth: %s", d.text);
	if (c.pid == 0)
		job_do(o, kind, job, ctx);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	fd_drop(&c.pidfd);
	if (WIFEXITED(status) && WEXITSTATUS(status) == BROKEN)
		fail_msg("jail_enter failed");
	return status;
}

int jailed_run(const struct jail_options *o, jailed_job *job, void *ctx)
{
	return run(o, -1, job, ctx);
}

int jailed_run_filtered(enum jail_thread kind, jailed_job *job, void *ctx)
{
	struct jail_options o = jailed_options();

	return run(&o, (int)kind, job, ctx);
}

static _Noreturn void user_do(void (*job)(void))
{
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) != 0))
		_exit(BROKEN);
	/* As after an exec: the change of user has made /proc/self root's. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	/* An assert that fails leaves for the test's end, in this process as in the other. */
	(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
	job();
	_exit(0);
}

void as_user(void (*job)(void))
{
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		user_do(job);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("as an ordinary user: status %#x", (unsigned)status);
}

void jails_needed(void)
{
	struct jail_host h;
	struct diag d = DIAG_INIT;

	jail_host_ask(&h);
	if (!failed(jail_host_require(&h, 0, &d)))
		return;
	print_message("%s\n", d.text);
	skip();
}
