/* SPDX-License-Identifier: Apache-2.0 */
/* Spawns by the public library, measured as subject.c says: a line on standard input is one round, its
 * nanoseconds a line on standard output once what the round made is gone and what it took is there
 * again. Trusts its caller.
 *
 *   spawn_subject cold|pooled|worker|armed STATE DEPTH
 *        from before the call to the first exit by what the guest does: in this process, built then,
 *        or in a shell that is ready; in a worker that is ready, or is the machine already
 *   spawn_subject answer STATE DEPTH
 *        in a worker, the guest being in its loop that answers bytes: to its answer to one
 *   spawn_subject grow STATE DEPTH
 *        no time: the bytes that the zygote gains when a child reads 64 MiB that nobody has written */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"

struct way {
	const char *word;
	bool jailed;
	uint32_t shells, armed; /* neither: no pool */
	bool answers, grows;
};

static const struct way ways[] = {
	{ "cold", false, 0, 0, false, false },  { "pooled", false, 1, 0, false, false },
	{ "worker", true, 1, 0, false, false }, { "armed", true, 0, 1, false, false },
	{ "answer", true, 1, 0, true, false },  { "grow", true, 0, 0, false, true },
};

struct round {
	const struct way *way;
	spore_zygote *zygote;
	spore_pool *pool; /* NULL: none */
};

static spore_pool *pool_make(const struct way *w, spore_zygote *z)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	struct spore_error e;
	spore_pool *p;

	if (w->shells + w->armed == 0)
		return NULL;
	o.shells = w->shells;
	o.armed = w->armed;
	o.flags = w->jailed ? 0 : SPORE_POOL_UNJAILED;
	must(spore_pool_new(z, &o, &p, &e), &e);
	return p;
}

/* Before a round, since it takes what is ready; and after it, since what is torn down and made again
 * would fall on whoever has the next turn. */
static void settle(spore_pool *p)
{
	struct spore_error e;

	if (p != NULL)
		must(spore_pool_settle(p, -1, NULL, &e), &e);
}

/* As with the yardsticks. */
static void pause_ms(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static spore_machine *spawn(const struct round *r)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_error e;
	spore_machine *m;

	o.flags = SPORE_SPAWN_RESUME;
	o.pool = r->pool;
	if (r->way->jailed)
		must(spore_spawn(r->zygote, &o, &m, &e), &e);
	else
		must(spore_spawn_unjailed(r->zygote, &o, &m, &e), &e);
	return m;
}

/* Its first exit is the write of the first byte of its output. */
static uint64_t to_first_exit(const struct round *r)
{
	struct spore_timings t;
	struct spore_error e;
	spore_machine *m = spawn(r);

	output_await(m, 0);
	must(spore_machine_timings(m, &t, &e), &e);
	if (t.n == 0 || strcmp(t.phases[t.n - 1].name, "first exit") != 0)
		errx(1, "a machine that has written to its console has not come out of the guest");
	spore_machine_free(m);
	return t.total_ns;
}

static uint64_t to_answer(const struct round *r)
{
	uint64_t from = now_ns(), took;
	spore_machine *m = spawn(r);

	type(m, "a");
	output_await(m, 0);
	took = now_ns() - from;
	spore_machine_free(m);
	return took;
}

static uint64_t resident(spore_zygote *z)
{
	struct spore_error e;
	const char *at;
	uint64_t bytes;
	char *json;

	must(spore_zygote_info(z, &json, &e), &e);
	at = strstr(json, "\"resident\":");
	if (at == NULL || sscanf(at, "\"resident\": %lu", &bytes) != 1)
		errx(1, "nothing is said of its memory: %s", json);
	spore_free(json);
	return bytes;
}

static uint64_t growth(const struct round *r)
{
	uint64_t before = resident(r->zygote), seen = 0;
	spore_machine *m = spawn(r);
	char line[DRIVE_LINE];

	type(m, "\nwalk 32M 64M\n");
	line_await(m, "ok count=", &seen, line);
	line_await(m, "ok", &seen, line);
	spore_machine_free(m);
	return resident(r->zygote) - before;
}

static uint64_t round_of(const struct round *r)
{
	uint64_t took;

	if (r->way->grows)
		return growth(r);
	settle(r->pool);
	pause_ms();
	took = r->way->answers ? to_answer(r) : to_first_exit(r);
	settle(r->pool);
	if (took == 0)
		errx(1, "a spawn that took no time");
	return took;
}

int main(int argc, char **argv)
{
	struct round r = { 0 };
	char line[16];

	for (size_t i = 0; argc == 4 && i < sizeof ways / sizeof ways[0]; i++)
		if (strcmp(argv[1], ways[i].word) == 0)
			r.way = &ways[i];
	if (r.way == NULL)
		errx(2, "usage: spawn_subject cold|pooled|worker|armed|answer|grow STATE DEPTH");
	r.zygote = zygote_at_depth(argv[2], r.way->answers ? GUEST_ANSWERS : GUEST_BEATS,
				   (unsigned)strtoul(argv[3], NULL, 10));
	r.pool = pool_make(r.way, r.zygote);
	while (fgets(line, sizeof line, stdin) != NULL) {
		(void)printf("%lu\n", round_of(&r));
		(void)fflush(stdout);
	}
	spore_pool_free(r.pool);
	spore_zygote_free(r.zygote);
	return 0;
}
