/* SPDX-License-Identifier: Apache-2.0 */
/* jailed KERNEL FOLDER: machines in jails, made to do everything that a worker's machine does, for
 * tests/suites/730-syscalls.py, which looks at the system calls of each of their threads.
 *
 * A machine is booted here and frozen. Two children, each in a process of its own, spawn from it in
 * a shell: one takes its last filter before the shell gets its memory, as a worker does; the other
 * is first given a disk to write in place, which is opened by name. Both then take commands, are
 * paused, saved to memory, stopped and continued, and power off. Prints a line per child; ends with
 * 1 when anything did not go as it should. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "life/arch.h"
#include "life/devices.h"
#include "life/spawn.h"
#include "life/state.h"
#include "life/vm.h"
#include "machine/jail/filter.h"
#include "machine/jail/jail.h"
#include "plan/config.h"

enum { DISK_BYTES = 4 << 20 };

/* What the guest says, taken without a system call of its own. */
struct console {
	pthread_mutex_t lock;
	pthread_cond_t more;
	char text[4096];
	size_t n, taken;
};

/* Shared with the supervisor: what a filtered process may not print. */
struct said {
	char text[600];
	volatile int stops, continued;
};

static struct said *said;

static _Noreturn void die(const char *fmt, ...) printf_like(1, 2);

static _Noreturn void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said->text, sizeof said->text, fmt, args);
	va_end(args);
	_exit(1);
}

static void must(err_t e, const struct diag *d, const char *what)
{
	if (failed(e))
		die("%s: %s: %s", what, err_text(e.code), d->text);
}

static void hear(void *ctx, const uint8_t *bytes, size_t n)
{
	struct console *c = ctx;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n && c->n < sizeof c->text - 1; i++)
		c->text[c->n++] = (char)bytes[i];
	pthread_cond_broadcast(&c->more);
	pthread_mutex_unlock(&c->lock);
}

/* The next line, which must begin with `want`. */
static void expect(struct console *c, const char *want)
{
	char *line, *end;

	pthread_mutex_lock(&c->lock);
	while ((end = memchr(c->text + c->taken, '\n', c->n - c->taken)) == NULL)
		pthread_cond_wait(&c->more, &c->lock);
	line = c->text + c->taken;
	c->taken = (size_t)(end + 1 - c->text);
	*end = '\0';
	if (strncmp(line, want, strlen(want)) != 0)
		die("the guest said \"%s\", expected \"%s\"", line, want);
	if (c->taken == c->n)
		c->taken = c->n = 0;
	pthread_mutex_unlock(&c->lock);
}

static void tell(vm_running *vm, const char *line)
{
	size_t n = strlen(line);

	if (vm_console_input(vm, (const uint8_t *)line, n) != n)
		die("the guest takes no input");
}

static void ask(vm_running *vm, struct console *c, const char *line)
{
	tell(vm, line);
	expect(c, "ok");
}

/* ---- the machine that is frozen ---- */

static struct zygote *freeze(const char *kernel, const char *disk)
{
	const struct disk_request disks[] = { { disk, DISK_COW } };
	struct request r = { .kernel = kernel, .cpus = 2, .ram = BYTES(MIB(64)), .n_disks = 1,
			     .disks = disks };
	static struct console c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0, 0 };
	struct vm_options o = { .console = hear, .ctx = &c };
	struct diag d = DIAG_INIT;
	const struct config *config;
	const struct topology *top;
	const struct geometry *geo;
	struct shape shape;
	struct zygote *z;
	vm_running *running;
	vm_paused *paused;
	vm_built *built;

	must(config_validate(&r, &d, &config), &d, "config");
	shape = config_shape(config);
	must(topology_plan(&shape, &d, &top), &d, "topology");
	must(geometry_plan(top, &d, &geo), &d, "geometry");
	must(vm_build(config, geo, &o, &d, &built), &d, "build");
	must(vm_start(&built, &d, &running), &d, "start");
	expect(&c, "tguest: ready cpus=2");
	ask(running, &c, "cpus start\n");
	must(vm_pause(&running, &d, &paused), &d, "pause");
	must(vm_freeze(&paused, &d, &z), &d, "freeze");
	geometry_free(geo);
	topology_free(top);
	config_free(config);
	return z;
}

/* ---- a child ---- */

static void pause_and_save(vm_running **vm)
{
	struct diag d = DIAG_INIT;
	struct arch_state *state;
	vm_paused *paused;
	struct vm *inside;

	must(vm_pause(vm, &d, &paused), &d, "pause");
	inside = vm_of_paused(paused);
	must(arch_save(inside, vcpus_park(inside->vcpus), &d, &state), &d, "save");
	arch_state_free(state);
	must(vm_resume(&paused, &d, vm), &d, "resume");
}

/* Until the supervisor has stopped and continued the whole process. */
static void be_stopped(void)
{
	said->stops = 1;
	while (!said->continued)
		__asm__ volatile("" : : : "memory");
}

/* Returns once the vCPU that ended the machine has told the others: its flags go up and its signals
 * go out under one lock, which parking takes. */
static void wait_for_end(vm_running *vm)
{
	struct vcpus *all = vm_of(vm)->vcpus;
	const struct kvm_run *run = vcpus_at(all, (vcpu_id){ 0 })->run.base;

	while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		;
	(void)vcpus_park(all);
	if (vm_outcome(vm, NULL) != VM_POWEROFF)
		die("ended by something else");
}

static void work(vm_running *vm, struct console *c, bool in_place)
{
	static const char *const commands[] = {
		"nonce 1\n", "rng 1 64\n", "blk 0 write 8 64 5\n", "blk 0 check 8 64 5\n",
		"blk 0 zeroes 8 8\n", "blk 0 flush\n", "blk 0 load 64 8\n",
	};

	for (size_t i = 0; i < countof(commands); i++)
		ask(vm, c, commands[i]);
	be_stopped();
	pause_and_save(&vm);
	ask(vm, c, "blk 0 verify\n");
	ask(vm, c, "cpus check\n");
	tell(vm, "off\n");
	wait_for_end(vm);
	(void)snprintf(said->text, sizeof said->text, "%s: powered off",
		       in_place ? "in place" : "copy on write");
}

static _Noreturn void child(struct zygote *z, const char *disk)
{
	struct console c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0, 0 };
	const struct identity_disk own = { 0, DISK_RW, disk };
	const struct identity id = { .n_disks = disk != NULL, .disks = &own };
	struct vm_options o = { .console = hear, .ctx = &c };
	struct shell_options opens = SHELL_OPENS;
	struct diag d = DIAG_INIT;
	vm_running *running;
	vm_paused *paused;
	vm_shell *shell;

	must(shell_make(zygote_image(z), &opens, &d, &shell), &d, "shell");
	must(shell_confine(shell, &d), &d, "confine");
	if (disk == NULL)
		must(jail_filter_take(JAIL_CONTROL, &d), &d, "filter");
	must(vm_spawn_in(&shell, z, &id, &o, &d, &paused), &d, "spawn");
	if (disk != NULL)
		must(jail_filter_take(JAIL_CONTROL, &d), &d, "filter");
	must(vm_resume(&paused, &d, &running), &d, "resume");
	work(running, &c, disk != NULL);
	_exit(0);
}

/* ---- the supervisor ---- */

static void rest(void)
{
	const struct timespec some = { 0, 20 * 1000 * 1000 };

	(void)nanosleep(&some, NULL);
}

/* Is that thread, by its name, asleep? */
static bool sleeps(pid_t pid, const char *name)
{
	char path[64], line[256];
	bool asleep = false;
	struct dirent *e;
	DIR *tasks;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks != NULL && !asleep && (e = readdir(tasks)) != NULL) {
		int fd = openat(dirfd(tasks), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		int stat = openat(fd, "stat", O_RDONLY | O_CLOEXEC);
		ssize_t n = read(stat, line, sizeof line - 1);

		line[n < 0 ? 0 : n] = '\0';
		(void)snprintf(path, sizeof path, "(%s) S", name);
		asleep = strstr(line, path) != NULL;
		(void)close(stat);
		(void)close(fd);
	}
	if (tasks != NULL)
		(void)closedir(tasks);
	return asleep;
}

/* Without the other walls, which would keep it from /dev/kvm and its disk by name. */
static bool run_child(struct zygote *z, const char *disk)
{
	struct jail_options o = {
		.without = JAIL_WITHOUT(JAIL_MOUNTNS) | JAIL_WITHOUT(JAIL_LANDLOCK) |
			   JAIL_WITHOUT(JAIL_USERNS) | JAIL_WITHOUT(JAIL_PIDNS) |
			   JAIL_WITHOUT(JAIL_NETNS) | JAIL_WITHOUT(JAIL_IPCNS) |
			   JAIL_WITHOUT(JAIL_UTSNS),
		.uid = JAIL_UIDS, .netns = -1, .cgroup = -1,
	};
	struct diag d = DIAG_INIT;
	struct jail_child c;
	int status;

	memset(said, 0, sizeof *said);
	must(jail_fork(&o, &d, &c), &d, "fork");
	if (c.pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
			die("no_new_privs");
		child(z, disk);
	}
	while (!said->stops && waitpid(c.pid, &status, WNOHANG) == 0)
		rest();
	/* Nobody asks the entropy device for anything now: it waits for a doorbell, and being
	 * stopped there it goes on with restart_syscall. */
	while (said->stops && !sleeps(c.pid, "rng-1"))
		rest();
	if (said->stops && kill(c.pid, SIGSTOP) == 0) {
		(void)waitpid(c.pid, &status, WUNTRACED);
		said->continued = 1;
		(void)kill(c.pid, SIGCONT);
		(void)waitpid(c.pid, &status, 0);
	}
	fd_drop(&c.pidfd);
	printf("%s (status %#x)\n", said->text, (unsigned)status);
	return status == 0;
}

static void disk_make(const char *path)
{
	FILE *f = fopen(path, "we");

	if (f == NULL || ftruncate(fileno(f), DISK_BYTES) != 0 || fclose(f) != 0)
		die("%s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
	char base[512], own[512];
	struct zygote *z;
	bool ok;

	said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc != 3 || said == MAP_FAILED)
		return 2;
	(void)snprintf(base, sizeof base, "%s/base.img", argv[2]);
	(void)snprintf(own, sizeof own, "%s/own.img", argv[2]);
	disk_make(base);
	disk_make(own);
	z = freeze(argv[1], base);
	ok = run_child(z, NULL);
	ok = run_child(z, own) && ok;
	zygote_free(z);
	return ok ? 0 : 1;
}
