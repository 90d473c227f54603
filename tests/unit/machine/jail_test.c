/* SPDX-License-Identifier: Apache-2.0 */
/* Ways out of a jail that its walls stop before there is a system call filter. All of it once as
 * the user who runs the tests, and where that is root, once more as nobody. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support/jailed.h"
#include "support/test.h"

/* What those outside have that a jailed process may want. */
struct outside {
	pid_t pid;
	int folder, netns, program; /* descriptors that it was left */
	char abstract[32];          /* a socket that listens */
};

/* An attempt gives 0 when it came through, else why not. */
typedef int attempt(const struct outside *o);

static int errno_of(long r)
{
	return r < 0 ? errno : 0;
}

static int opening_a_file(const struct outside *o)
{
	(void)o;
	return errno_of(open("/etc/passwd", O_RDONLY));
}

static int opening_kvm(const struct outside *o)
{
	(void)o;
	return errno_of(open("/dev/kvm", O_RDWR));
}

static int opening_the_root(const struct outside *o)
{
	(void)o;
	return errno_of(open("/", O_RDONLY));
}

/* From where it finds itself, which is below the root however deep that is. */
static int opening_above_the_root(const struct outside *o)
{
	(void)o;
	return chdir("/") != 0 ? errno : errno_of(open("../../../etc/passwd", O_RDONLY));
}

static int opening_beneath_a_descriptor(const struct outside *o)
{
	return errno_of(openat(o->folder, "etc/passwd", O_RDONLY));
}

static int making_a_file(const struct outside *o)
{
	(void)o;
	return errno_of(open("/file", O_WRONLY | O_CREAT, 0600));
}

static int making_a_node(const struct outside *o)
{
	(void)o;
	return errno_of(mknod("/kvm", S_IFCHR | 0600, 10 << 8 | 232));
}

static int executing(const struct outside *o)
{
	(void)o;
	return errno_of(execl("/bin/true", "true", NULL));
}

static int executing_a_descriptor(const struct outside *o)
{
	char *argv[] = { "true", NULL }, *none[] = { NULL };

	return errno_of(syscall(SYS_execveat, o->program, "", argv, none, AT_EMPTY_PATH));
}

static int connecting_inet(const struct outside *o)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(22),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	(void)o;
	return s < 0 ? errno : errno_of(connect(s, (struct sockaddr *)&to, sizeof to));
}

static int making_a_raw_socket(const struct outside *o)
{
	(void)o;
	return errno_of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int connecting_abstract(const struct outside *o)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(to.sun_path + 1, o->abstract, sizeof o->abstract);
	return s < 0 ? errno : errno_of(connect(s, (struct sockaddr *)&to, sizeof to));
}

static int signalling(const struct outside *o)
{
	return errno_of(kill(o->pid, SIGKILL));
}

static int signalling_everybody(const struct outside *o)
{
	(void)o;
	return errno_of(kill(-1, SIGKILL));
}

static int tracing(const struct outside *o)
{
	return errno_of(ptrace(PTRACE_SEIZE, o->pid, NULL, NULL));
}

static int reading_memory(const struct outside *o)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { (void *)(uintptr_t)o, 1 };

	return errno_of(process_vm_readv(o->pid, &to, 1, &from, 1, 0));
}

static int mounting(const struct outside *o)
{
	(void)o;
	return errno_of(mount("none", "/", "tmpfs", 0, NULL));
}

static int becoming_root_again(const struct outside *o)
{
	(void)o;
	return errno_of(unshare(CLONE_NEWUSER));
}

static int making_a_mount_namespace(const struct outside *o)
{
	(void)o;
	return errno_of(unshare(CLONE_NEWNS));
}

static int entering_a_namespace(const struct outside *o)
{
	return errno_of(setns(o->netns, CLONE_NEWNET));
}

static int changing_user(const struct outside *o)
{
	(void)o;
	return errno_of(setresuid(1, 1, 1));
}

static int naming_the_host(const struct outside *o)
{
	(void)o;
	return errno_of(sethostname("x", 1));
}

static int changing_the_root(const struct outside *o)
{
	(void)o;
	return errno_of(chroot("/"));
}

static int raising_a_limit(const struct outside *o)
{
	struct rlimit l = { 4096, 4096 };

	(void)o;
	return errno_of(setrlimit(RLIMIT_NOFILE, &l));
}

static int having_many_descriptors(const struct outside *o)
{
	int fd = 0;

	(void)o;
	for (int i = 0; i < 64 && fd >= 0; i++)
		fd = dup(2);
	return errno_of(fd);
}

static int having_many_children(const struct outside *o)
{
	pid_t pid = 0;

	(void)o;
	for (int i = 0; i < 8 && pid >= 0; i++) {
		pid = fork();
		if (pid == 0) {
			(void)pause();
			_exit(0);
		}
	}
	return errno_of(pid);
}

static int growing_a_file(const struct outside *o)
{
	int fd = memfd_create("x", 0);

	(void)o;
	(void)signal(SIGXFSZ, SIG_IGN);
	return fd < 0 ? errno : errno_of(ftruncate(fd, (1 << 20) + 1));
}

static const struct { attempt *try; const char *name; } attempts[] = {
#define A(name) { name, #name }
	A(opening_a_file), A(opening_kvm), A(opening_the_root), A(opening_above_the_root),
	A(opening_beneath_a_descriptor), A(making_a_file), A(making_a_node), A(executing),
	A(executing_a_descriptor), A(connecting_inet), A(making_a_raw_socket),
	A(connecting_abstract), A(signalling), A(signalling_everybody), A(tracing),
	A(reading_memory), A(mounting), A(becoming_root_again), A(making_a_mount_namespace),
	A(entering_a_namespace), A(changing_user), A(naming_the_host), A(changing_the_root),
	A(raising_a_limit), A(having_many_descriptors), A(having_many_children),
	A(growing_a_file),
#undef A
};

struct trial { attempt *try; struct outside o; };

static int try_it(void *ctx)
{
	struct trial *t = ctx;

	return t->try(&t->o);
}

static int listen_abstract(struct outside *o)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(o->abstract, sizeof o->abstract, "spore-jail-test-%d", (int)getpid());
	memcpy(at.sun_path + 1, o->abstract, sizeof o->abstract);
	assert_true(s >= 0);
	assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s, 1), 0);
	return s;
}

static struct outside look_outside(int *ret_listener)
{
	struct outside o = { .pid = getpid(), .folder = open("/", O_PATH | O_CLOEXEC),
			     .netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
			     .program = open("/bin/true", O_RDONLY | O_CLOEXEC) };

	assert_true(o.folder >= 0 && o.netns >= 0 && o.program >= 0);
	*ret_listener = listen_abstract(&o);
	return o;
}

/* Those outside, while attempts are made. */
struct scene {
	struct trial t;
	int listener, keep[4];
};

static void scene_open(struct scene *s)
{
	s->t.o = look_outside(&s->listener);
	s->keep[0] = 2;
	s->keep[1] = s->t.o.folder;
	s->keep[2] = s->t.o.netns;
	s->keep[3] = s->t.o.program;
}

static void scene_close(struct scene *s)
{
	for (size_t i = 1; i < countof(s->keep); i++)
		(void)close(s->keep[i]);
	(void)close(s->listener);
}

/* Each attempt in a jail of its own. */
static int scene_try(struct scene *s, uint32_t without, attempt *try)
{
	struct jail_options o = jailed_options();

	o.without = without;
	o.keep = s->keep;
	o.n_keep = countof(s->keep);
	s->t.try = try;
	return jailed_run(&o, try_it, &s->t);
}

static void attempts_fail(void)
{
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < countof(attempts); i++) {
		int status = scene_try(&s, 0, attempts[i].try);

		if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
			fail_msg("%s: status %#x", attempts[i].name, (unsigned)status);
	}
	scene_close(&s);
}

static void no_attempt_comes_through(void **state)
{
	(void)state;
	jails_needed();
	attempts_fail();
	as_user(attempts_fail);
}

/* ---- each wall by itself stops what it is there for ---- */

static const struct lone {
	enum jail_wall wall;
	uint32_t with; /* walls that it stands on */
	attempt *try;
	int sys;
	const char *name;
} lones[] = {
#define L(wall, with, try, sys) { wall, with, try, sys, #wall ": " #try }
	L(JAIL_LANDLOCK, 0, opening_a_file, EACCES),
	L(JAIL_LANDLOCK, 0, opening_beneath_a_descriptor, EACCES),
	L(JAIL_LANDLOCK, 0, executing_a_descriptor, EACCES),
	L(JAIL_MOUNTNS, JAIL_WITHOUT(JAIL_USERNS), opening_a_file, ENOENT),
	L(JAIL_MOUNTNS, JAIL_WITHOUT(JAIL_USERNS), opening_above_the_root, ENOENT),
	L(JAIL_MOUNTNS, JAIL_WITHOUT(JAIL_USERNS), making_a_file, EROFS),
	L(JAIL_PIDNS, JAIL_WITHOUT(JAIL_USERNS), signalling, ESRCH),
	L(JAIL_PIDNS, JAIL_WITHOUT(JAIL_USERNS), signalling_everybody, ESRCH),
	L(JAIL_PIDNS, JAIL_WITHOUT(JAIL_USERNS), tracing, ESRCH),
	L(JAIL_PIDNS, JAIL_WITHOUT(JAIL_USERNS), reading_memory, ESRCH),
	L(JAIL_NETNS, JAIL_WITHOUT(JAIL_USERNS), connecting_abstract, ECONNREFUSED),
	L(JAIL_NETNS, JAIL_WITHOUT(JAIL_USERNS), connecting_inet, ENETUNREACH),
	L(JAIL_MOUNTNS, JAIL_WITHOUT(JAIL_USERNS), becoming_root_again, EPERM),
	L(JAIL_USERNS, 0, mounting, EPERM),
#undef L
};

static void lones_hold(void)
{
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < countof(lones); i++) {
		uint32_t walls = JAIL_WITHOUT(lones[i].wall) | lones[i].with;
		int status = scene_try(&s, JAIL_WALLS_ALL & ~walls, lones[i].try);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != lones[i].sys)
			fail_msg("%s: status %#x, expected errno %d", lones[i].name,
				 (unsigned)status, lones[i].sys);
	}
	scene_close(&s);
}

static void each_wall_stands_alone(void **state)
{
	(void)state;
	jails_needed();
	lones_hold();
	as_user(lones_hold);
}

/* ---- and without any, they would come through: what is tried is not impossible anyway ---- */

static void open_doors(void)
{
	static const struct { attempt *try; const char *name; } open_to[] = {
#define A(name) { name, #name }
		A(opening_a_file), A(opening_the_root), A(opening_above_the_root),
		A(opening_beneath_a_descriptor), A(executing), A(executing_a_descriptor),
		A(connecting_abstract), A(becoming_root_again),
#undef A
	};
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < countof(open_to); i++) {
		int status = scene_try(&s, JAIL_WALLS_ALL, open_to[i].try);

		if (status != 0)
			fail_msg("%s: status %#x", open_to[i].name, (unsigned)status);
	}
	scene_close(&s);
}

static void without_walls_they_would(void **state)
{
	(void)state;
	jails_needed();
	open_doors();
	as_user(open_doors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_attempt_comes_through),
		cmocka_unit_test(each_wall_stands_alone),
		cmocka_unit_test(without_walls_they_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
