/* SPDX-License-Identifier: Apache-2.0 */
/* By ptrace(2); the registers are x86's. */
#include "support/puppet.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "support/test.h"

enum { SYSCALL_LEN = 2 }; /* SYSCALL, of which RIP is the end while the thread is in the kernel */

static struct user_regs_struct take(pid_t pid)
{
	struct user_regs_struct r;
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &r), 0);
	/* The call that it was in is not begun again. */
	r.orig_rax = (unsigned long long)-1;
	return r;
}

static void let_go(pid_t pid, struct user_regs_struct r)
{
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &r), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

void puppet_fault(pid_t pid)
{
	struct user_regs_struct r = take(pid);

	r.rip = 8;
	let_go(pid, r);
}

uint64_t puppet_stack_guard(pid_t pid)
{
	struct user_regs_struct r = take(pid);
	uint64_t word;

	errno = 0;
	word = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)(r.fs_base + 0x28), NULL);
	assert_int_equal(errno, 0);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	return word;
}

void puppet_call(pid_t pid, long nr)
{
	struct user_regs_struct r = take(pid);

	r.rip -= SYSCALL_LEN;
	r.rax = (unsigned long long)nr;
	r.rdi = r.rsi = r.rdx = 0;
	let_go(pid, r);
}
