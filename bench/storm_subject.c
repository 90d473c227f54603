/* SPDX-License-Identifier: Apache-2.0 */
/* Many jailed machines alive at once. Each line on standard input is one storm, its figures a line of
 * JSON on standard output once all of it is gone again. Trusts its caller.
 *
 *   storm_subject pooled|cold STATE SECRET COUNT THREADS
 *
 * STATE is of the test guest in its loop that answers bytes, with that secret in its RAM. COUNT
 * machines are spawned, by THREADS threads, from a pool that is full or an empty one; each is asked a
 * byte at once: "wall_ns" is from before the first spawn to the last answer. Then all are asked again,
 * each with a random nonce, and every answer is compared with what only that memory and that
 * generation can give (guest/README.md, storm), which also dirties 16 pages in each. "used_kib" is
 * what all of memory lost, from before there was any worker to then. After that all are stopped, and
 * whatever is left is a failure. */
#include <dirent.h>
#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "drive.h"

#define VMGENID UINT64_C(0xF0000) /* docs/snapshot-format.md: where every machine has it */
enum { THREADS_MAX = 64, SETTLE_MS = 300 };

struct child { spore_machine *m; uint64_t seen, id[2]; };

struct storm {
	spore_zygote *zygote;
	spore_pool *pool;
	uint64_t secret;
	unsigned count, threads;
	bool pooled;
	atomic_uint next;
	struct child *child;
};

/* ---- what is there ---- */

static void settle(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
}

/* Memory that is not free, nor a copy of what a disk has. */
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
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
			if (strcmp(name, rows[i].name) == 0)
				sum += rows[i].sign * kib;
	if (f == NULL || fclose(f) != 0)
		err(1, "/proc/meminfo");
	return sum;
}

static unsigned entries(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	if (d == NULL)
		err(1, "%s", folder);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* Of the first thread, which those of others are given to. */
static unsigned children(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	unsigned n = 0;
	int pid;

	if (f == NULL)
		err(1, "/proc/thread-self/children");
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	(void)fclose(f);
	return n;
}

static double cpu_s(void)
{
	struct rusage own, children;

	(void)getrusage(RUSAGE_SELF, &own);
	(void)getrusage(RUSAGE_CHILDREN, &children);
	return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
			children.ru_stime.tv_sec) +
	       (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
			children.ru_stime.tv_usec) / 1e6;
}

/* ---- a storm ---- */

static uint64_t pattern(uint64_t seed, uint64_t position)
{
	uint64_t z = (seed ^ position) + UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static void each(struct storm *s, void *(*does)(void *))
{
	pthread_t thread[THREADS_MAX];

	s->next = 0;
	for (unsigned i = 0; i < s->threads; i++)
		if (pthread_create(&thread[i], NULL, does, s) != 0)
			errx(1, "no thread");
	for (unsigned i = 0; i < s->threads; i++)
		(void)pthread_join(thread[i], NULL);
}

static struct child *take(struct storm *s)
{
	unsigned n = atomic_fetch_add(&s->next, 1);

	return n < s->count ? &s->child[n] : NULL;
}

/* A byte each; nobody waits for an answer before all are asked. */
static void *spawn_some(void *arg)
{
	struct storm *s = arg;
	struct child *c;

	while ((c = take(s)) != NULL) {
		*c = (struct child){ .m = spawn_running(s->zygote, s->pool) };
		type(c->m, "a");
	}
	return NULL;
}

static void *hear_some(void *arg)
{
	struct storm *s = arg;
	struct child *c;

	while ((c = take(s)) != NULL)
		output_await(c->m, c->seen++);
	return NULL;
}

/* "ok id=" and sixteen bytes in hex. */
static void read_id(const char *line, uint64_t ret[static 2])
{
	uint8_t *to = (uint8_t *)ret;

	for (size_t i = 0; i < 16; i++)
		if (sscanf(line + strlen("ok id=") + 2 * i, "%2hhx", &to[i]) != 1)
			errx(1, "no generation id: %s", line);
}

static void prove(const struct storm *s, struct child *c)
{
	char line[DRIVE_LINE];
	uint64_t nonce, answer, expected;

	if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
		err(1, "getrandom");
	(void)snprintf(line, sizeof line, "\nvmgenid %#lx\nstorm %#lx %#lx\n", VMGENID, nonce, VMGENID);
	type(c->m, line);
	line_await(c->m, "ok answered=", &c->seen, line);
	line_await(c->m, "ok id=", &c->seen, line);
	read_id(line, c->id);
	line_await(c->m, "ok answer=", &c->seen, line);
	answer = strtoull(line + strlen("ok answer="), NULL, 0);
	expected = pattern(pattern(pattern(s->secret, nonce), c->id[0]), c->id[1]);
	if (answer != expected)
		errx(1, "a machine answers %#lx, expected %#lx", answer, expected);
}

static void *prove_some(void *arg)
{
	struct storm *s = arg;
	struct child *c;

	while ((c = take(s)) != NULL)
		prove(s, c);
	return NULL;
}

static void *stop_some(void *arg)
{
	struct storm *s = arg;
	struct child *c;

	while ((c = take(s)) != NULL)
		spore_machine_free(c->m);
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct child *)a)->id, ((const struct child *)b)->id,
		      sizeof ((const struct child *)a)->id);
}

static void all_differ(struct storm *s)
{
	qsort(s->child, s->count, sizeof s->child[0], by_id);
	for (unsigned i = 1; i < s->count; i++)
		if (by_id(&s->child[i - 1], &s->child[i]) == 0)
			errx(1, "two machines have one generation id");
}

static void pool_make(struct storm *s)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	struct spore_error e;

	o.shells = s->pooled ? s->count : 0;
	must(spore_pool_new(s->zygote, &o, &s->pool, &e), &e);
	must(spore_pool_settle(s->pool, -1, NULL, &e), &e);
}

/* Nobody will come any more, for whom others would be made ready. */
static void pool_rest(struct storm *s)
{
	struct spore_error e;

	must(spore_pool_resize(s->pool, 0, &e), &e);
}

static void storm(struct storm *s)
{
	unsigned files = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	unsigned processes = children(); /* the zygote's nursery */
	int64_t before = used_kib(), used;
	double cpu = cpu_s();
	uint64_t begin = now_ns(), ready, wall, proven;

	pool_make(s);
	ready = now_ns();
	each(s, spawn_some);
	pool_rest(s);
	each(s, hear_some);
	wall = now_ns() - ready;
	each(s, prove_some);
	proven = now_ns();
	all_differ(s);
	settle();
	used = used_kib() - before;
	each(s, stop_some);
	spore_pool_free(s->pool);
	settle(); /* a thread that was waited for is seen a little longer */
	if (waitpid(-1, NULL, WNOHANG) > 0 || children() != processes)
		errx(1, "a process is left");
	if (entries("/proc/self/fd") != files || entries("/proc/self/task") != threads)
		errx(1, "%u descriptors and %u threads are there, %u and %u were",
		     entries("/proc/self/fd"), entries("/proc/self/task"), files, threads);
	(void)printf("{\"wall_ns\": %lu, \"fill_ns\": %lu, \"prove_ns\": %lu, \"used_kib\": %ld, "
		     "\"left_kib\": %ld, \"cpu_s\": %.3f}\n", wall, ready - begin,
		     proven - ready - wall, used, used_kib() - before, cpu_s() - cpu);
}

int main(int argc, char **argv)
{
	struct storm s = { 0 };
	struct rlimit files;
	char line[16];

	if (argc != 6)
		errx(2, "usage: storm_subject pooled|cold STATE SECRET COUNT THREADS");
	s.pooled = strcmp(argv[1], "pooled") == 0;
	s.secret = strtoull(argv[3], NULL, 0);
	s.count = (unsigned)strtoul(argv[4], NULL, 10);
	s.threads = (unsigned)strtoul(argv[5], NULL, 10);
	s.child = calloc(s.count, sizeof *s.child);
	if (s.child == NULL || s.threads == 0 || s.threads > THREADS_MAX)
		errx(2, "no room");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	s.zygote = zygote_at_depth(argv[2], GUEST_ANSWERS, 0);
	/* What a zygote keeps for its children, it keeps from the first on. */
	spore_machine_free(spawn_running(s.zygote, NULL));
	while (fgets(line, sizeof line, stdin) != NULL) {
		storm(&s);
		(void)fflush(stdout);
	}
	spore_zygote_free(s.zygote);
	free(s.child);
	return 0;
}
