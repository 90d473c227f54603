/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick for storms: what bare_spawn.c replays, cold, in many processes at once, each forked into
 * namespaces of its own with an empty root, Landlock, no capability and a filter of system calls. They
 * share one empty network namespace. Nothing is executed, started ahead, or shared with libspore.
 *
 *   bare_storm RECORD RAM COUNT     a storm for each line of standard input, as storm_subject has it
 *
 * "wall_ns" is from before the first fork to the last first exit; then 16 pages of each are written. */
#define main spawn_main
int spawn_main(int argc, char **argv);
#include "bare_spawn.c"
#undef main

#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/capability.h>

enum { PAGES = 16, SETTLE_US = 300000 };

static int64_t used_kib(void)
{
	static const struct { const char *name; int sign; } rows[] = {
		{ "MemTotal:", 1 }, { "MemFree:", -1 }, { "Buffers:", -1 }, { "Cached:", -1 },
		{ "Shmem:", 1 }, { "SReclaimable:", -1 },
	};
	FILE *f = fopen("/proc/meminfo", "re");
	int64_t sum = 0, kib;
	char name[64];

	while (f != NULL && fscanf(f, "%63s %ld%*[^\n]", name, &kib) == 2)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			if (strcmp(name, rows[i].name) == 0)
				sum += rows[i].sign * kib;
	if (f == NULL || fclose(f) != 0)
		err(1, "/proc/meminfo");
	return sum;
}

static void write_text(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	(void)close(fd);
}

static void confine(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 } };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };
	uint64_t rights = 0x1FFF;
	int rules = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0);

	if (syscall(SYS_setresuid, 0, 0, 0) != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/proc", "tmpfs", MS_RDONLY, "nr_inodes=1,size=4096") != 0 ||
	    chdir("/proc") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    syscall(SYS_capset, &head, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    rules < 0 || syscall(SYS_landlock_restrict_self, rules, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
		err(1, "confining");
	(void)close(rules);
}

static _Noreturn void be_worker(int sock)
{
	volatile char *const at = (volatile char *)RAM_ADDRESS;
	uint64_t word;

	if (recv(sock, &word, sizeof word, 0) != sizeof word)
		_exit(1);
	confine();
	replay(RAM);
	word = run_to_port_write();
	for (size_t i = 0; i < PAGES; i++)
		at[(32u << 20) + i * (4u << 20)] ^= 1;
	(void)send(sock, &word, sizeof word, 0);
	for (;;)
		(void)pause();
}

static pid_t start(int *ret_sock)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC |
					    CLONE_NEWUTS, .exit_signal = SIGCHLD };
	uint64_t word = 0;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		err(1, "socketpair");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		err(1, "clone3");
	if (pid == 0)
		be_worker(pair[1]);
	(void)close(pair[1]);
	write_text(pid, "setgroups", "deny");
	write_text(pid, "uid_map", "0 0 1\n");
	write_text(pid, "gid_map", "0 0 1\n");
	(void)send(pair[0], &word, sizeof word, 0);
	*ret_sock = pair[0];
	return pid;
}

static void storm(int *sock, pid_t *pid, unsigned n)
{
	int64_t before = used_kib(), used;
	uint64_t from = now_ns(), last = 0, at;

	for (unsigned i = 0; i < n; i++)
		pid[i] = start(&sock[i]);
	for (unsigned i = 0; i < n; i++) {
		if (recv(sock[i], &at, sizeof at, 0) != sizeof at)
			errx(1, "a worker died");
		last = at > last ? at : last;
	}
	(void)usleep(SETTLE_US);
	used = used_kib() - before;
	for (unsigned i = 0; i < n; i++) {
		(void)kill(pid[i], SIGKILL);
		(void)waitpid(pid[i], NULL, 0);
		(void)close(sock[i]);
	}
	(void)usleep(SETTLE_US);
	(void)printf("{\"wall_ns\": %lu, \"used_kib\": %ld, \"left_kib\": %ld}\n", last - from, used,
		     used_kib() - before);
}

int main(int argc, char **argv)
{
	FILE *record = argc == 4 ? fopen(argv[1], "re") : NULL;
	unsigned n = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	int *sock = calloc(n + 1, sizeof *sock);
	pid_t *pid = calloc(n + 1, sizeof *pid);
	static char line[1 << 16];

	if (record == NULL || sock == NULL || pid == NULL || (ram = open(argv[2], O_RDONLY | O_CLOEXEC)) < 0)
		errx(2, "usage: bare_storm RECORD RAM COUNT");
	while (n_ops < OPS_MAX && fgets(line, sizeof line, record) != NULL)
		read_op(&ops[n_ops++], line);
	for (struct op *op = ops; op < ops + n_ops; op++) {
		if (op->kind != 'k')
			continue;
		objects[op->object] = (uintptr_t)call(op, SHELL); /* a worker is given it */
		op->parts = 0;
	}
	(void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n + 1000, n + 1000 });
	if (vcpu < 0 || unshare(CLONE_NEWNET) != 0)
		err(1, "no network namespace, or no vCPU");
	while (fgets(line, sizeof line, stdin) != NULL) {
		storm(sock, pid, n);
		(void)fflush(stdout);
	}
	return 0;
}
