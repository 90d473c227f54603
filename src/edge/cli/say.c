/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/say.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

void say_error(const char *command, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	text_clean(text, sizeof text); /* one line is one line, whatever is in a name or a file */
	(void)fprintf(stderr, "spore: %s%s%s\n", command, command[0] != '\0' ? ": " : "", text);
}

static int status_of_error(int status)
{
	switch (spore_status_class(status)) {
	case SPORE_CLASS_NONE: return STATUS_OK;
	case SPORE_CLASS_MONITOR: return STATUS_MONITOR;
	case SPORE_CLASS_USAGE: return STATUS_USAGE;
	case SPORE_CLASS_INPUT: return STATUS_INPUT;
	case SPORE_CLASS_HOST: return STATUS_HOST;
	}
	return STATUS_MONITOR;
}

int say_failure(const char *command, const struct spore_error *err)
{
	say_error(command, "%s", err->text);
	return status_of_error(err->code);
}

int status_of_outcome(enum spore_outcome o)
{
	switch (o) {
	case SPORE_OUTCOME_POWEROFF: return STATUS_OK;
	case SPORE_OUTCOME_RESET: return STATUS_RESET;
	case SPORE_OUTCOME_CRASH: return STATUS_CRASH;
	case SPORE_OUTCOME_STOPPED: return STATUS_STOPPED;
	case SPORE_OUTCOME_NONE:
	case SPORE_OUTCOME_ERROR: return STATUS_MONITOR;
	}
	return STATUS_MONITOR;
}

static void timings_json(FILE *to, const struct spore_timings *t, const char *name)
{
	json_t *doc = json_object(), *phases = json_array();
	char *text;

	if (name != NULL)
		(void)json_object_set_new(doc, "name", json_string(name));
	for (uint32_t i = 0; i < t->n; i++)
		(void)json_array_append_new(phases, json_pack("{s:s, s:f}", "name",
							      t->phases[i].name, "us",
							      (double)t->phases[i].ns / 1000.0));
	(void)json_object_set_new(doc, "phases", phases);
	(void)json_object_set_new(doc, "total_us", json_real((double)t->total_ns / 1000.0));
	(void)json_object_set_new(doc, "in_flight", json_integer((json_int_t)t->in_flight));
	text = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	json_decref(doc);
	(void)fprintf(to, "%s\n", text != NULL ? text : "{}");
	free(text);
}

void say_timings(FILE *to, const struct spore_timings *t, bool json, const char *name)
{
	if (json) {
		timings_json(to, t, name);
		return;
	}
	(void)fprintf(to, "%-24s %12s\n", "phase", "us");
	for (uint32_t i = 0; i < t->n; i++)
		(void)fprintf(to, "%-24s %12.1f\n", t->phases[i].name,
			      (double)t->phases[i].ns / 1000.0);
	(void)fprintf(to, "%-24s %12.1f\n", "total", (double)t->total_ns / 1000.0);
	if (t->in_flight != 0)
		(void)fprintf(to, "%u device requests were in flight\n", t->in_flight);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Short work shows nothing; long work ten times a second. */
void progress_step(void *progress, uint64_t done, uint64_t of)
{
	enum { WIDTH = 30, PATIENCE_MS = 300, STEP_MS = 100 };
	static const char bar[WIDTH + 1] = "==============================";
	struct progress *p = progress;
	int64_t now = now_ms();
	int full;

	if (of == 0 || isatty(STDERR_FILENO) == 0)
		return;
	if (p->begun_ms == 0)
		p->begun_ms = now;
	if (now - p->begun_ms < PATIENCE_MS || now - p->last_ms < STEP_MS)
		return;
	p->last_ms = now;
	p->shown = true;
	full = (int)((double)done / (double)of * WIDTH);
	(void)fprintf(stderr, "\r%s [%-*.*s] %3d %%", p->verb, WIDTH, full, bar,
		      (int)((double)done / (double)of * 100));
	(void)fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		(void)fprintf(stderr, "\r\033[K");
	p->shown = false;
}

void say_text(char *text)
{
	(void)fputs(text, stdout);
	(void)fputc('\n', stdout);
	spore_free(text);
}
