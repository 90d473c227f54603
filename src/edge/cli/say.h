/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line tells people: one line per error on stderr, tables, progress; and the exit
 * statuses. */
#pragma once

#include <jansson.h>
#include <spore.h>
#include <stdio.h>

#include "base/check.h"

enum {
	STATUS_OK = 0,      /* also: the guest powered off */
	STATUS_MONITOR = 1,
	STATUS_USAGE = 2,
	STATUS_RESET = 3,
	STATUS_CRASH = 4,
	STATUS_STOPPED = 5,
	STATUS_INPUT = 6,
	STATUS_HOST = 7,
};

/* "spore: COMMAND: SENTENCE" on stderr, control characters shown as '?'. */
void say_error(const char *command, const char *fmt, ...) printf_like(2, 3);
/* The same, for a call that failed; returns the exit status that goes with it. */
int say_failure(const char *command, const struct spore_error *err);
int status_of_outcome(enum spore_outcome o);

/* A table in µs, or one JSON document with `name` in it unless that is NULL. */
void say_timings(FILE *to, const struct spore_timings *t, bool json, const char *name);

/* A bar on stderr when that is a terminal, nothing otherwise. `verb` is what is being done. */
struct progress {
	const char *verb;
	bool shown;
	int64_t begun_ms, last_ms;
};
void progress_step(void *progress, uint64_t done, uint64_t of);
void progress_end(struct progress *p);

/* Prints text that a call returned, and frees it. */
void say_text(char *text);
