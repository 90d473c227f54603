/* SPDX-License-Identifier: Apache-2.0 */
/* Boots the test guest of this repository once, spawns a thousand of it through a pool, asks each a
 * question that it can only answer with what was in its memory, and sees all of them end.
 *
 *     spawn_thousand build/guest/tguest.elf [HOW-MANY]
 *
 *     cc spawn_thousand.c $(pkg-config --cflags --libs spore) */
#include <poll.h>
#include <spore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { READY = 32, LINE = 256 };

static void must(int status, const struct spore_error *err)
{
	if (status == SPORE_OK)
		return;
	fprintf(stderr, "%s (%s)\n", err->text, spore_status_name(status));
	exit(1);
}

/* The first line of its console, without the end of it. */
static void read_line(spore_machine *m, char *line)
{
	struct pollfd p = { spore_machine_output_fd(m), POLLIN, 0 };
	struct spore_error err;
	uint64_t from = 0;
	size_t n = 0;
	char *end;

	for (;;) {
		must(spore_machine_output(m, 0, line, LINE - 1, &from, &n, &err), &err);
		line[n] = '\0';
		end = strchr(line, '\n');
		if (end != NULL)
			break;
		poll(&p, 1, -1);
	}
	*end = '\0';
}

static void type(spore_machine *m, const char *text)
{
	size_t left = strlen(text), taken = 0;
	struct spore_error err;

	for (; left > 0; text += taken, left -= taken)
		must(spore_machine_input(m, text, left, &taken, &err), &err);
}

static spore_zygote *boot_and_freeze(const char *kernel)
{
	struct spore_config config = SPORE_CONFIG_INIT;
	struct spore_freeze_options freeze = SPORE_FREEZE_OPTIONS_INIT;
	struct spore_error err;
	spore_zygote *zygote;
	spore_machine *m;
	char line[LINE];

	config.kernel = kernel;
	must(spore_machine_new(NULL, &m, &err), &err);
	must(spore_machine_boot(m, &config, &err), &err);
	read_line(m, line);
	freeze.flags = SPORE_FREEZE_PAUSE;
	must(spore_machine_freeze(m, &freeze, &zygote, &err), &err);
	spore_machine_free(m);
	return zygote;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Machines take descriptors: as many as this process may have. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void stop_all(struct spore_child *child, size_t n)
{
	struct spore_event ended[64];
	struct spore_error err;
	spore_events *events;
	size_t got, all = 0;

	must(spore_events_new(&events, &err), &err);
	for (size_t i = 0; i < n; i++) {
		must(spore_events_add(events, child[i].ret_machine, NULL, &err), &err);
		type(child[i].ret_machine, "off\n");
	}
	for (; all < n; all += got) {
		must(spore_events_next(events, -1, ended, 64, &got, &err), &err);
		for (size_t i = 0; i < got; i++)
			spore_machine_free(ended[i].machine);
	}
	spore_events_free(events);
}

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	struct spore_pool_options size = SPORE_POOL_OPTIONS_INIT;
	struct spore_spawn_options spawn = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_child *child = calloc(n, sizeof *child);
	struct spore_pool_stats stats;
	struct spore_error err;
	char first[LINE], line[LINE];
	spore_zygote *zygote;
	double start;

	if (argc < 2 || n == 0 || child == NULL) {
		fprintf(stderr, "usage: spawn_thousand TGUEST [HOW-MANY]\n");
		return 2;
	}
	raise_limit();
	zygote = boot_and_freeze(argv[1]);
	size.flags = SPORE_POOL_UNJAILED;
	size.shells = READY;
	must(spore_pool_new(zygote, &size, &spawn.pool, &err), &err);
	must(spore_pool_settle(spawn.pool, -1, NULL, &err), &err);

	spawn.flags = SPORE_SPAWN_RESUME;
	start = now_ms();
	must(spore_spawn_many_unjailed(zygote, &spawn, child, n, &err), &err);
	printf("%zu run after %.1f ms\n", n, now_ms() - start);
	for (size_t i = 0; i < n; i++)
		type(child[i].ret_machine, "hash 1M 64K\n");
	for (size_t i = 0; i < n; i++) {
		read_line(child[i].ret_machine, i == 0 ? first : line);
		if (i != 0 && strcmp(first, line) != 0) {
			fprintf(stderr, "child %zu says: %s, the first said: %s\n", i, line, first);
			return 1;
		}
	}
	printf("%zu answered after %.1f ms: %s\n", n, now_ms() - start, first);

	stop_all(child, n);
	spore_pool_stats(spawn.pool, &stats);
	printf("%llu in shells that were ready, %llu built then\n",
	       (unsigned long long)stats.from_shell, (unsigned long long)stats.cold);
	spore_pool_free(spawn.pool);
	spore_zygote_free(zygote);
	free(child);
	return 0;
}
