/* SPDX-License-Identifier: Apache-2.0 */
/* spawn_stop TGUEST CYCLES: spawns a machine of the test guest, asks it something, stops it, again and
 * again; in a worker built for it, in a worker out of a pool, in this process. Resident memory,
 * descriptors, threads and processes must stay as they were when all of that had been done a few times. */
#include <dirent.h>
#include <poll.h>
#include <spore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* KIB: arenas and stacks that the C library keeps; far less than one page for each cycle of a long run */
enum { WARM = 100, SAMPLES = 10, SHELLS = 2, LINE = 256, KIB = 2048 };

struct held { long kib, fds, threads, processes; };

struct soak {
	spore_zygote *zygote;
	spore_pool *workers, *here;
	struct held first;
};

static void must(int status, const struct spore_error *err)
{
	if (status == SPORE_OK)
		return;
	fprintf(stderr, "%s (%s)\n", err->text, spore_status_name(status));
	exit(1);
}

/* ---- what is held ---- */

static long entries(const char *folder)
{
	DIR *d = opendir(folder);
	long n = 0;

	if (d == NULL)
		exit(1);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all, resident;

	if (f == NULL || fscanf(f, "%ld %ld", &all, &resident) != 2)
		exit(1);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The parent of a process, 0 when it is gone. */
static int parent_of(const char *pid)
{
	char path[300], stat[512] = "", *end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fgets(stat, sizeof stat, f) != NULL && (end = strrchr(stat, ')')) != NULL)
		(void)sscanf(end, ") %*c %d", &parent);
	fclose(f);
	return parent;
}

/* Those of this one, ended ones that nobody has waited for among them. */
static long children(void)
{
	DIR *d = opendir("/proc");
	long n = 0;

	if (d == NULL)
		exit(1);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9' && parent_of(e->d_name) == getpid();
	closedir(d);
	return n;
}

/* With both pools full and nothing left to be torn down. */
static struct held held_now(struct soak *s)
{
	struct spore_error err;
	int settled;

	must(spore_pool_settle(s->workers, -1, &settled, &err), &err);
	must(spore_pool_settle(s->here, -1, &settled, &err), &err);
	return (struct held){ resident_kib(), entries("/proc/self/fd"), entries("/proc/self/task"),
			      children() };
}

static void held_print(long cycles, const struct held *h)
{
	printf("# after %ld: %ld KiB resident, %ld descriptors, %ld threads, %ld processes\n", cycles,
	       h->kib, h->fds, h->threads, h->processes);
	fflush(stdout);
}

static bool is_flat(const struct held *first, const struct held *h)
{
	return h->kib <= first->kib + KIB && h->fds == first->fds && h->threads == first->threads &&
	       h->processes == first->processes;
}

/* ---- a machine ---- */

static void read_line(spore_machine *m, uint64_t *at, char *line)
{
	struct pollfd p = { spore_machine_output_fd(m), POLLIN, 0 };
	struct spore_error err;
	char *end = NULL;
	size_t n = 0;

	while (end == NULL) {
		must(spore_machine_output(m, *at, line, LINE - 1, at, &n, &err), &err);
		line[n] = '\0';
		end = strchr(line, '\n');
		if (end == NULL)
			poll(&p, 1, 1000);
	}
	*end = '\0';
	*at += (uint64_t)(end - line) + 1;
}

static void ask(spore_machine *m, const char *question)
{
	size_t left = strlen(question), taken = 0;
	struct spore_error err;
	uint64_t at = 0;
	char line[LINE];

	for (; left > 0; question += taken, left -= taken)
		must(spore_machine_input(m, question, left, &taken, &err), &err);
	read_line(m, &at, line);
	if (strncmp(line, "ok", 2) != 0) {
		fprintf(stderr, "the guest says: %s\n", line);
		exit(1);
	}
}

static void cycle(struct soak *s, long i)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_error err;
	spore_machine *m;

	o.flags = SPORE_SPAWN_RESUME;
	if (i % 4 == 3) {
		o.pool = s->here;
		must(spore_spawn_unjailed(s->zygote, &o, &m, &err), &err);
	} else {
		o.pool = i % 4 == 1 ? s->workers : NULL;
		must(spore_spawn(s->zygote, &o, &m, &err), &err);
	}
	if (i % 3 != 0)
		ask(m, "poke 0x2000000 0x55\n");
	must(spore_machine_stop(m, &err), &err);
	spore_machine_free(m);
}

static void soak_open(struct soak *s, const char *kernel)
{
	struct spore_config config = SPORE_CONFIG_INIT;
	struct spore_freeze_options freeze = SPORE_FREEZE_OPTIONS_INIT;
	struct spore_pool_options pool = SPORE_POOL_OPTIONS_INIT;
	struct spore_error err;
	spore_machine *m;
	uint64_t at = 0;
	char line[LINE];

	config.kernel = kernel;
	must(spore_machine_new(NULL, &m, &err), &err);
	must(spore_machine_boot(m, &config, &err), &err);
	read_line(m, &at, line);
	freeze.flags = SPORE_FREEZE_PAUSE;
	must(spore_machine_freeze(m, &freeze, &s->zygote, &err), &err);
	spore_machine_free(m);
	pool.shells = SHELLS;
	must(spore_pool_new(s->zygote, &pool, &s->workers, &err), &err);
	pool.flags = SPORE_POOL_UNJAILED;
	must(spore_pool_new(s->zygote, &pool, &s->here, &err), &err);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long cycles = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	struct soak s;
	struct held now;
	double began;

	if (cycles < SAMPLES) {
		fprintf(stderr, "usage: spawn_stop TGUEST CYCLES (at least %d)\n", SAMPLES);
		return 2;
	}
	soak_open(&s, argv[1]);
	for (long i = 0; i < WARM; i++)
		cycle(&s, i);
	s.first = now = held_now(&s);
	held_print(0, &now);
	began = now_s();
	for (long i = 1; i <= cycles; i++) {
		cycle(&s, i);
		if (i % (cycles / SAMPLES) != 0)
			continue;
		now = held_now(&s);
		held_print(i, &now);
		if (!is_flat(&s.first, &now))
			break;
	}
	printf("%s 1 - spawned and stopped %ld times in %.0f s, and nothing more is held\n",
	       is_flat(&s.first, &now) ? "ok" : "not ok", cycles, now_s() - began);
	spore_pool_free(s.workers);
	spore_pool_free(s.here);
	spore_zygote_free(s.zygote);
	printf("%s 2 - in the end no process is left\n1..2\n", children() == 0 ? "ok" : "not ok");
	return is_flat(&s.first, &now) && children() == 0 ? 0 : 1;
}
