/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a machine in this process: built, running, paused (flow.h has the transitions).
 *
 * One monitor thread owns the handle; the functions marked "any thread" may be called beside it.
 * vCPUs and disks have threads of their own, which live from vm_build or vm_restore to vm_free. */
#pragma once

#include "flow.h"

/* How a machine ended. The numbers are part of the library's API. */
#define VM_OUTCOMES(X) \
	X(NONE,     0, "running")                                         \
	X(POWEROFF, 1, "the guest powered off")                           \
	X(RESET,    2, "the guest asked for a reset")                     \
	X(CRASH,    3, "the guest crashed (triple fault)")                \
	X(STOPPED,  4, "stopped from outside")                            \
	X(ERROR,    5, "the monitor could not go on")

enum vm_outcome {
#define X(name, number, text) VM_##name = (number),
	VM_OUTCOMES(X)
#undef X
};
const char *vm_outcome_text(enum vm_outcome o);

struct vm_options {
	/* Called on a vCPU's thread with what the guest wrote to its serial port; NULL: nobody wants
	 * it. Must not block for long (the guest waits) and must not call back into the machine. */
	void (*console)(void *ctx, const uint8_t *bytes, size_t n);
	/* Called once, on the boot processor's thread, when it has come out of the guest for the first
	 * time, with CLOCK_MONOTONIC of its first entry and of that exit; NULL: nobody wants to know. */
	void (*first_exit)(void *ctx, uint64_t entered_ns, uint64_t exited_ns);
	void *ctx;
	/* Of a spawn: when it was asked for, in ns of CLOCK_MONOTONIC; 0: now. */
	uint64_t since_ns;
};

/* Phases of a restore, a boot or a snapshot, in nanoseconds, in the order they happened. */
enum { PHASES_MAX = 16 };
struct phase_times {
	uint32_t n;
	struct phase { const char *name; uint64_t ns; } rows[PHASES_MAX];
	uint64_t total_ns; /* their sum: time between phases is not the machine's */
	uint64_t last_ns;  /* when the last one ended, CLOCK_MONOTONIC */
	uint32_t in_flight; /* of a snapshot: requests that the pause before it had to wait for */
};

/* A descriptor that becomes readable when the machine has ended, or a vCPU was stopped by an
 * error. Borrowed. */
int vm_event_fd(const vm_running *vm);
/* VM_NONE while it runs. With VM_ERROR, *d says what happened. Any thread. */
enum vm_outcome vm_outcome(const vm_running *vm, struct diag *d);
enum vm_outcome vm_paused_outcome(const vm_paused *vm, struct diag *d);
/* Of a machine that has ended by itself: until none of its vCPUs runs, and the last of its console was
 * given away. */
void vm_wait_quiet(vm_running *vm);
/* Bytes typed at the console: takes as many as the bounded buffer holds, returns how many. Any
 * thread. */
size_t vm_console_input(vm_running *vm, const uint8_t *bytes, size_t n);
/* Ends it from outside: outcome VM_STOPPED unless it had ended already. */
void vm_stop(vm_running *vm);

/* How the boot, the restore or the spawn went. A running machine's has two more rows: "first entry",
 * how long from the end of the set-up until the boot processor entered the guest (waits for that),
 * and "first exit", how long it stayed there, once it has come out by what it did itself. */
const struct phase_times *vm_times(const vm_paused *vm);
const struct phase_times *vm_running_times(const vm_running *vm);
const struct geometry *vm_geometry(const vm_paused *vm);

/* Each accepts NULL. */
void vm_built_free(vm_built *vm);
void vm_shell_free(vm_shell *vm);
void vm_running_free(vm_running *vm);
void vm_paused_free(vm_paused *vm);
