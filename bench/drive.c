/* SPDX-License-Identifier: Apache-2.0 */
#include "drive.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PAGES = 256 };

void must(int result, const struct spore_error *e)
{
	if (result != SPORE_OK)
		errx(1, "%s", e->text);
}

uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the console ---- */

static size_t output(spore_machine *m, uint64_t *io_from, char *to, size_t cap)
{
	struct spore_error e;
	size_t n;

	must(spore_machine_output(m, *io_from, to, cap, io_from, &n, &e), &e);
	return n;
}

static void must_live(spore_machine *m)
{
	enum spore_outcome outcome;
	struct spore_error why = { 0 }, e;

	must(spore_machine_outcome(m, &outcome, &why, &e), &e);
	if (outcome != SPORE_OUTCOME_NONE)
		errx(1, "a machine has ended: %s %s", spore_outcome_text(outcome), why.text);
}

void output_await(spore_machine *m, uint64_t seen)
{
	struct pollfd p = { .fd = spore_machine_output_fd(m), .events = POLLIN };
	uint64_t from = seen;
	char byte;

	while (output(m, &from, &byte, 1) == 0)
		if (poll(&p, 1, 1000) == 0)
			must_live(m);
}

void type(spore_machine *m, const char *text)
{
	size_t left = strlen(text), taken;
	struct spore_error e;

	for (; left > 0; text += taken, left -= taken)
		must(spore_machine_input(m, text, left, &taken, &e), &e);
}

/* The next whole line. */
static void line_next(spore_machine *m, uint64_t *io_seen, char line[static DRIVE_LINE])
{
	for (;;) {
		uint64_t from = *io_seen;
		size_t n = output(m, &from, line, DRIVE_LINE - 1);
		char *end = memchr(line, '\n', n);

		if (end != NULL) {
			*io_seen = from + (size_t)(end - line) + 1;
			*end = '\0';
			return;
		}
		if (n == DRIVE_LINE - 1)
			*io_seen = from + n;
		else
			output_await(m, from + n);
	}
}

void line_await(spore_machine *m, const char *with, uint64_t *io_seen, char line[static DRIVE_LINE])
{
	do {
		line_next(m, io_seen, line);
		if (strncmp(line, "err", 3) == 0)
			errx(1, "the guest says: %s", line);
	} while (strncmp(line, with, strlen(with)) != 0);
}

/* ---- zygotes ---- */

spore_machine *spawn_running(spore_zygote *z, spore_pool *pool)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_error e;
	spore_machine *m;

	o.flags = SPORE_SPAWN_RESUME;
	o.pool = pool;
	must(spore_spawn(z, &o, &m, &e), &e);
	return m;
}

/* Its loop ends with a line end, amidst the bytes that it writes, and begins again. */
static spore_zygote *next_generation(spore_zygote *z, enum guest g, unsigned n)
{
	struct spore_freeze_options freeze = SPORE_FREEZE_OPTIONS_INIT;
	spore_machine *m = spawn_running(z, NULL);
	char line[DRIVE_LINE];
	struct spore_error e;
	spore_zygote *next;
	uint64_t seen = 0;

	(void)snprintf(line, sizeof line, "\nscatter %d %u\n", PAGES, n);
	type(m, line);
	line_await(m, g == GUEST_BEATS ? "ok count=" : "ok answered=", &seen, line);
	line_await(m, "ok", &seen, line);
	type(m, g == GUEST_BEATS ? "beat\n" : "answer\na");
	output_await(m, seen);
	freeze.flags = SPORE_FREEZE_PAUSE;
	must(spore_machine_freeze(m, &freeze, &next, &e), &e);
	spore_machine_free(m);
	spore_zygote_free(z);
	return next;
}

spore_zygote *zygote_at_depth(const char *state, enum guest g, unsigned depth)
{
	struct spore_error e;
	spore_zygote *z;

	must(spore_zygote_open(state, NULL, &z, &e), &e);
	for (unsigned n = 0; n < depth; n++)
		z = next_generation(z, g, n + 1);
	return z;
}
