/* SPDX-License-Identifier: Apache-2.0 */
/* What the filters end: each escape, tried by each kind of thread, with numbers that would do no
 * harm if it came through. What they let through is proven by tests/suites/730-syscalls.py. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "plan/ram_extents.h"
#include "support/foreign_abi.h"
#include "support/jailed.h"
#include "support/test.h"
#include "support/worked.h"

struct call { const char *name; long nr, arg[4]; };

#define C(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }
static const struct call escapes[] = {
	C(open, (long)"/"), C(openat, AT_FDCWD, (long)"/"), C(openat2, AT_FDCWD, (long)"/"),
	C(open_by_handle_at, -1), C(creat, (long)"/x"), C(unlink, (long)"/x"),
	C(connect, -1), C(bind, -1), C(listen, -1), C(accept4, -1),
	C(socket, AF_UNIX, SOCK_STREAM), C(socket, AF_INET, SOCK_STREAM),
	C(socket, AF_INET, SOCK_RAW, 1), C(socket, AF_NETLINK, SOCK_RAW),
	C(socketpair, AF_UNIX, SOCK_STREAM),
	C(ptrace, PTRACE_SEIZE, 1), C(process_vm_readv, 1), C(process_vm_writev, 1),
	C(kill, 1, 0), C(kill, 2, 0), C(tkill, 1, 0), C(tgkill, 2, 2, 0), C(tgkill, -1, 1, 0),
	C(rt_sigqueueinfo, 2), C(pidfd_open, 1), C(pidfd_getfd, -1), C(pidfd_send_signal, -1),
	C(mount, 0), C(umount2, (long)"/"), C(pivot_root, 0), C(fsopen, 0), C(open_tree, -1),
	C(chroot, (long)"/"), C(unshare, CLONE_NEWUSER), C(setns, -1),
	C(clone, SIGCHLD), C(clone, CLONE_NEWUSER | SIGCHLD), C(clone3, 0), C(fork, 0), C(vfork, 0),
	C(execve, (long)"/"), C(execveat, -1), C(setuid, 0), C(setresuid, 0, 0, 0), C(capset, 0),
	C(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS),
	C(mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS),
	C(mprotect, 0, 0, PROT_EXEC), C(pkey_mprotect, 0, 0, PROT_EXEC), C(remap_file_pages, 0),
	C(shmat, -1), C(memfd_create, (long)"x"), C(memfd_secret, 0),
	C(bpf, -1), C(perf_event_open, 0), C(userfaultfd, 0), C(io_uring_setup, 0),
	C(io_uring_enter, -1), C(io_setup, 0), C(seccomp, 0), C(keyctl, -1), C(add_key, 0),
	C(prctl, PR_SET_DUMPABLE, 1), C(prctl, PR_SET_NAME, 0), C(personality, 0xFFFFFFFF),
	C(init_module, 0), C(kexec_load, 0), C(reboot, 0), C(iopl, 0), C(modify_ldt, 0),
	C(fcntl, -1, F_SETOWN), C(fcntl, -1, F_DUPFD), C(dup, -1), C(dup3, -1, -1),
	C(ioctl, -1, TIOCSTI), C(ioctl, -1, TIOCLINUX), C(ioctl, -1, KVM_CREATE_VM),
	C(ioctl, -1, KVM_CREATE_VCPU), C(ioctl, -1, KVM_CREATE_DEVICE), C(ioctl, -1, FIONBIO),
	C(futex, 0, FUTEX_LOCK_PI), C(futex, 0, FUTEX_CMP_REQUEUE_PI),
};
#undef C

static int make_call(void *ctx)
{
	const struct call *c = ctx;

	(void)syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], 0, 0);
	return 0;
}

static void dies(const char *name, enum jail_thread kind, jailed_job *job, const void *ctx)
{
	int status = jailed_run_filtered(kind, job, (void *)(uintptr_t)ctx);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("%s on thread kind %d: status %#x, expected SIGSYS", name, (int)kind,
			 (unsigned)status);
}

static void escapes_die(void)
{
	for (enum jail_thread k = JAIL_VCPU; k <= JAIL_CONTROL; k++)
		for (size_t i = 0; i < countof(escapes); i++)
			dies(escapes[i].name, k, make_call, &escapes[i]);
}

static void every_escape_dies(void **state)
{
	(void)state;
	jails_needed();
	escapes_die();
	as_user(escapes_die);
}

/* ---- one thread's requests are not another's ---- */

static void requests_belong_to_their_thread(void **state)
{
	static const struct call run = { "KVM_RUN", SYS_ioctl, { -1, KVM_RUN } },
				 set = { "KVM_SET_REGS", SYS_ioctl, { -1, KVM_SET_REGS } },
				 sync = { "fdatasync", SYS_fdatasync, { -1 } };

	(void)state;
	jails_needed();
	dies("KVM_RUN", JAIL_DEVICE, make_call, &run);
	dies("KVM_RUN", JAIL_CONTROL, make_call, &run);
	dies("KVM_SET_REGS", JAIL_VCPU, make_call, &set);
	dies("KVM_SET_REGS", JAIL_DEVICE, make_call, &set);
	dies("fdatasync", JAIL_VCPU, make_call, &sync);
	dies("fdatasync", JAIL_CONTROL, make_call, &sync);
}

/* ---- what a worker plans makes no calls but for memory ---- */

/* The C library's sort, say, asks how much of that there is once it has 64 of something. */
static int plan_pieces(void *ctx)
{
	enum { TEETH = 1000, PAGE = 4096 };
	static struct ram_run written[TEETH];
	struct ram_extent one = { BYTES(0), BYTES(2 * TEETH * PAGE), 0, FOFF(0) };
	struct ram_layering l = { .below = &one, .n_below = 1, .written = written,
				  .n_written = TEETH, .fresh = 1 };
	struct ram_extents x;

	(void)ctx;
	for (uint64_t i = 0; i < TEETH; i++)
		written[i] = (struct ram_run){ BYTES(2 * i * PAGE), BYTES(PAGE) };
	return failed(ram_extents_plan(&l, &x)) || x.n < 2;
}

static void pieces_are_planned_under_the_filter(void **state)
{
	(void)state;
	jails_needed();
	if (sanitized()) {
		print_message("# SKIP the sanitizers' own calls are not in the filter\n");
		skip();
	}
	assert_int_equal(jailed_run_filtered(JAIL_CONTROL, plan_pieces, NULL), 0);
}

/* ---- calls in another form ---- */

static int call_as_32_bit(void *ctx)
{
	(void)ctx;
	/* Without that form the instruction is a fault, and there is nothing to filter. */
	return foreign_getpid() > 0 ? 0 : 1;
}

static int call_as_x32(void *ctx)
{
	(void)ctx;
	(void)syscall(foreign_number(SYS_getpid));
	return 0;
}

static void other_forms_die(void **state)
{
	struct jail_options o = jailed_options();
	int status;

	(void)state;
	jails_needed();
	for (enum jail_thread k = JAIL_VCPU; k <= JAIL_CONTROL; k++)
		dies("getpid of x32", k, call_as_x32, NULL);
	status = jailed_run(&o, call_as_32_bit, NULL);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		print_message("this kernel has no 32-bit system calls\n");
		skip();
	}
	for (enum jail_thread k = JAIL_VCPU; k <= JAIL_CONTROL; k++)
		dies("getpid of 32 bit", k, call_as_32_bit, NULL);
}

/* ---- what only some hosts, or a failure, need: nothing else would prove that it works ---- */

struct rare { enum jail_thread kind; struct call call; };

#define R(kind, name, ...) { kind, C(name, __VA_ARGS__) }
#define C(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }
static const struct rare rares[] = {
	R(JAIL_VCPU, clock_gettime, CLOCK_MONOTONIC), R(JAIL_CONTROL, clock_gettime, CLOCK_REALTIME),
	R(JAIL_VCPU, futex, 0, FUTEX_WAIT_PRIVATE), R(JAIL_DEVICE, futex, 0, FUTEX_WAIT_PRIVATE),
	R(JAIL_CONTROL, futex, 0, FUTEX_WAIT_PRIVATE),
	R(JAIL_CONTROL, ioctl, -1, KVM_GET_XSAVE), R(JAIL_CONTROL, ioctl, -1, KVM_GET_XSAVE2),
	R(JAIL_CONTROL, brk, 0), R(JAIL_CONTROL, munmap, 1),
};
#undef C
#undef R

struct rare_try { const struct call *call; bool came_back; };

/* How the process then ends says nothing: most threads may not even do that. */
static int make_rare_call(void *ctx)
{
	struct rare_try *t = ctx;

	(void)make_call((void *)(uintptr_t)t->call);
	t->came_back = true;
	return 0;
}

static void what_is_rare_works(void **state)
{
	struct rare_try *t = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				  -1, 0);

	(void)state;
	jails_needed();
	assert_true(t != MAP_FAILED);
	for (size_t i = 0; i < countof(rares); i++) {
		*t = (struct rare_try){ &rares[i].call, false };
		(void)jailed_run_filtered(rares[i].kind, make_rare_call, t);
		if (!t->came_back)
			fail_msg("%s on thread kind %d", rares[i].call.name, (int)rares[i].kind);
	}
	(void)munmap(t, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_escape_dies),
		cmocka_unit_test(requests_belong_to_their_thread),
		cmocka_unit_test(pieces_are_planned_under_the_filter),
		cmocka_unit_test(other_forms_die),
		cmocka_unit_test(what_is_rare_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
