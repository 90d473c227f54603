/* SPDX-License-Identifier: Apache-2.0 */
/* How long each phase took: a running stop-watch over struct phase_times. */
#pragma once

#include "life/vm.h"

struct stopwatch {
	struct phase_times *times;
	uint64_t last;
};

uint64_t clock_ns(void); /* CLOCK_MONOTONIC */
struct stopwatch stopwatch_start(struct phase_times *times); /* clears *times */
/* The same from that moment on; 0: now. */
struct stopwatch stopwatch_since(struct phase_times *times, uint64_t since_ns);
/* Ends the phase that has been running since the last call, under this name (a string literal). */
void stopwatch_lap(struct stopwatch *w, const char *name);
/* A phase that was timed elsewhere; the running one is not touched. */
void stopwatch_add(struct stopwatch *w, const char *name, uint64_t ns);
/* The same over times that have rows already: the next lap counts from now. */
struct stopwatch stopwatch_continue(struct phase_times *times);
/* A last row that ended at `at_ns` on CLOCK_MONOTONIC, begun when the row before it ended. */
void stopwatch_row(struct phase_times *times, const char *name, uint64_t at_ns);
