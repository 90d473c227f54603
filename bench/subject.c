/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured: machines by the public library, and whole processes. Each line on standard
 * input is one round, its nanoseconds a line on standard output once everything the round made is
 * gone again, so that rounds of several programs can take turns. Trusts its caller.
 *
 *   subject make STATE KERNEL MIB CPUS DISK LINE...
 *                                           boots a machine, with a disk where DISK is not empty,
 *                                           types each line, freezes it (no rounds)
 *   subject restore STATE                   from before the file is opened to the first byte that
 *                                           the guest writes to its console
 *   subject boot KERNEL MIB                 from nothing to the guest's first byte
 *   subject snapshot FILE KERNEL MIB RAM    freezes a machine whose RAM holds the file RAM
 *   subject until MARK COMMAND...           from before the process is made to MARK in its output;
 *                                           an empty MARK is the first byte; 0 if it does not come */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spore.h"

enum { SETTLE_MS = 200, MARK_LIMIT_S = 120 };

extern char **environ;

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void settle(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
}

static void must(int result, const struct spore_error *e)
{
	if (result != SPORE_OK)
		errx(1, "%s", e->text);
}

/* ---- a machine and its first byte ---- */

struct first {
	_Atomic uint64_t at; /* 0: not yet */
	sem_t is_there;
};

static void on_console(void *ctx, const uint8_t *bytes, size_t n)
{
	struct first *f = ctx;
	uint64_t none = 0;

	(void)bytes;
	(void)n;
	if (atomic_load_explicit(&f->at, memory_order_relaxed) == 0 &&
	    atomic_compare_exchange_strong(&f->at, &none, now_ns()))
		(void)sem_post(&f->is_there);
}

static uint64_t first_await(struct first *f)
{
	while (sem_wait(&f->is_there) != 0 && errno == EINTR)
		;
	return f->at;
}

static spore_machine *machine_new(struct first *f)
{
	struct spore_machine_options o = SPORE_MACHINE_OPTIONS_INIT;
	spore_machine *m;
	struct spore_error e;

	f->at = 0;
	(void)sem_init(&f->is_there, 0, 0);
	o.console = on_console;
	o.ctx = f;
	must(spore_machine_new(&o, &m, &e), &e);
	return m;
}

static struct spore_config config_of(const char *kernel, const char *mib)
{
	struct spore_config c = SPORE_CONFIG_INIT;

	c.kernel = kernel;
	c.memory = strtoull(mib, NULL, 10) << 20;
	return c;
}

static void machine_boot(spore_machine *m, struct spore_config c)
{
	struct spore_error e;

	must(spore_machine_boot(m, &c, &e), &e);
}

static void machine_freeze(spore_machine *m, const char *path)
{
	struct spore_error e;

	must(spore_machine_snapshot(m, path, NULL, &e), &e);
}

/* ---- rounds ---- */

static uint64_t round_restore(char **args)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct spore_error e;
	struct first f;
	spore_machine *m = machine_new(&f);
	uint64_t from, took;

	o.flags = SPORE_RESTORE_RESUME;
	from = now_ns();
	must(spore_machine_restore(m, args[0], &o, &e), &e);
	took = first_await(&f) - from;
	spore_machine_free(m);
	return took;
}

static uint64_t round_boot(char **args)
{
	struct first f;
	spore_machine *m = machine_new(&f);
	uint64_t from = now_ns(), took;

	machine_boot(m, config_of(args[0], args[1]));
	took = first_await(&f) - from;
	spore_machine_free(m);
	return took;
}

/* The machine is made in the first round and stays. */
static uint64_t round_snapshot(char **args)
{
	static spore_machine *m;
	static struct first f;
	struct spore_error e;
	uint64_t from;

	if (m == NULL) {
		struct spore_config c = config_of(args[1], args[2]);

		c.initrd = args[3];
		m = machine_new(&f);
		machine_boot(m, c);
		(void)first_await(&f);
		settle();
		must(spore_machine_pause(m, &e), &e);
	}
	from = now_ns();
	machine_freeze(m, args[0]);
	return now_ns() - from;
}

/* Reads until the mark is in the last 4 KiB: when that was, or 0 if it does not come. */
static uint64_t mark_await(int fd, const char *mark)
{
	uint64_t limit = now_ns() + MARK_LIMIT_S * UINT64_C(1000000000);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char seen[8192];
	size_t n = 0;

	while (now_ns() < limit) {
		ssize_t got = poll(&p, 1, 1000) == 1 ? read(fd, seen + n, sizeof seen - n) : -1;

		if (got == 0)
			break;
		if (got < 0)
			continue;
		n += (size_t)got;
		if (memmem(seen, n, mark, strlen(mark)) != NULL)
			return now_ns();
		if (n > sizeof seen / 2) {
			memmove(seen, seen + n - sizeof seen / 4, sizeof seen / 4);
			n = sizeof seen / 4;
		}
	}
	(void)fprintf(stderr, "no \"%s\"; last: %.*s\n", mark, (int)n, seen);
	return 0;
}

static uint64_t round_until(char **args)
{
	posix_spawn_file_actions_t files;
	int out[2], status;
	uint64_t from, at;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) != 0)
		err(1, "pipe");
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&files, out[1], 1);
	from = now_ns();
	errno = posix_spawnp(&pid, args[1], &files, NULL, args + 1, environ);
	if (errno != 0)
		err(1, "%s", args[1]);
	(void)close(out[1]);
	at = mark_await(out[0], args[0]);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	(void)close(out[0]);
	(void)posix_spawn_file_actions_destroy(&files);
	return at == 0 ? 0 : at - from;
}

/* ---- the snapshot that the restores are of ---- */

static void make(char **args)
{
	struct spore_config c = config_of(args[1], args[2]);
	struct spore_disk disk = { .path = args[4], .mode = SPORE_DISK_COW };
	struct spore_error e;
	struct first f;
	spore_machine *m = machine_new(&f);
	size_t taken;

	c.cpus = (uint32_t)strtoul(args[3], NULL, 10);
	c.disks = &disk;
	c.n_disks = args[4][0] != '\0';
	machine_boot(m, c);
	(void)first_await(&f);
	for (char **line = args + 5; *line != NULL; line++) {
		settle();
		must(spore_machine_input(m, *line, strlen(*line), &taken, &e), &e);
		must(spore_machine_input(m, "\n", 1, &taken, &e), &e);
	}
	settle();
	must(spore_machine_pause(m, &e), &e);
	machine_freeze(m, args[0]);
	spore_machine_free(m);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int arguments;
		uint64_t (*round)(char **args);
	} subjects[] = {
		{ "make", 5, NULL },
		{ "restore", 1, round_restore },
		{ "boot", 2, round_boot },
		{ "snapshot", 4, round_snapshot },
		{ "until", 2, round_until },
	};
	char line[16];

	for (size_t i = 0; argc > 1 && i < sizeof subjects / sizeof subjects[0]; i++) {
		if (strcmp(argv[1], subjects[i].word) != 0 || argc < 2 + subjects[i].arguments)
			continue;
		if (subjects[i].round == NULL) {
			make(argv + 2);
			return 0;
		}
		while (fgets(line, sizeof line, stdin) != NULL) {
			(void)printf("%lu\n", subjects[i].round(argv + 2));
			(void)fflush(stdout);
		}
		return 0;
	}
	errx(2, "usage: subject make|restore|boot|snapshot|until ARGUMENT...");
}
