/* SPDX-License-Identifier: Apache-2.0 */
#include "life/phases.h"

#include <time.h>

uint64_t clock_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct stopwatch stopwatch_start(struct phase_times *times)
{
	return stopwatch_since(times, 0);
}

struct stopwatch stopwatch_since(struct phase_times *times, uint64_t since_ns)
{
	uint64_t from = since_ns != 0 ? since_ns : clock_ns();

	*times = (struct phase_times){ 0 };
	return (struct stopwatch){ times, from };
}

struct stopwatch stopwatch_continue(struct phase_times *times)
{
	return (struct stopwatch){ times, clock_ns() };
}

void stopwatch_add(struct stopwatch *w, const char *name, uint64_t ns)
{
	struct phase_times *t = w->times;

	if (t->n < PHASES_MAX)
		t->rows[t->n++] = (struct phase){ name, ns };
	t->total_ns += ns;
}

void stopwatch_row(struct phase_times *times, const char *name, uint64_t at_ns)
{
	uint64_t took = at_ns > times->last_ns ? at_ns - times->last_ns : 0;

	if (times->n < PHASES_MAX)
		times->rows[times->n++] = (struct phase){ name, took };
	times->total_ns += took;
	times->last_ns = at_ns;
}

void stopwatch_lap(struct stopwatch *w, const char *name)
{
	uint64_t now = clock_ns();
	struct phase_times *t = w->times;

	if (t->n < PHASES_MAX)
		t->rows[t->n++] = (struct phase){ name, now - w->last };
	t->total_ns += now - w->last;
	t->last_ns = w->last = now;
}
