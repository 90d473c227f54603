/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that runs the test guest (guest/README.md), driven through spore.h alone: what it says
 * is gathered line by line, what is expected and does not come fails the test. Waiting has a limit
 * that is far longer than anything takes; what a test decides never depends on how long it took.
 *
 * Trusts the test guest. Everything here fails the running test (cmocka) instead of returning
 * errors. A test that needs a machine is skipped where /dev/kvm cannot be opened. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "spore.h"
#include "support/test.h"

struct guest;

/* The test guest's path; lives for ever. */
const char *guest_kernel(void);
/* What a test guest is booted from when nothing else is wanted: one CPU, 128 MiB. */
struct spore_config guest_config(void);

/* A handle that was not started. */
struct guest *guest_new(void);
/* Booted, its ready line read. */
struct guest *guest_boot(const struct spore_config *c);
/* Paused, respectively resumed, from a file. `from` is the machine that the file was made of, as it
 * stood then: the rest of a line that it had begun, and answers that nobody had taken, are taken
 * over. NULL: nothing was on its way. */
struct guest *guest_restore_paused(const char *path, const struct guest *from);
struct guest *guest_restore(const char *path, const struct guest *from);
/* Spawned, RUNNING. `o` (NULL: the defaults) has no machine: its console is the guest's. At rest, so
 * that nothing was on its way, the zygote was frozen. */
struct guest *guest_spawn(spore_zygote *z, const struct spore_spawn_options *o);
/* The end of a guest at rest: frozen. */
spore_zygote *guest_to_zygote(struct guest *g);
/* Ends it if it has not ended. Accepts NULL. */
void guest_free(struct guest *g);
spore_machine *guest_machine(struct guest *g);

/* Types a line without waiting for its answer. */
__attribute__((format(printf, 2, 3))) void guest_tell(struct guest *g, const char *line, ...);
/* Types exactly these bytes; they are taken when this returns. */
void guest_type(struct guest *g, const char *bytes, size_t n);
/* The next line it says. Lives until the next call. */
const char *guest_line(struct guest *g);
/* The next line, which must begin with "ok". */
const char *guest_answer(struct guest *g);
/* Types a line and waits for its answer, which must begin with "ok". */
__attribute__((format(printf, 2, 3))) const char *guest_ask(struct guest *g, const char *line, ...);
/* "key=NUMBER" of an answer; it must be there. */
uint64_t answer_number(const char *answer, const char *key);
/* Waits until it has said at least n bytes that nobody took; gives them, which does not take them.
 * Lives until the next call. */
const uint8_t *guest_said(struct guest *g, size_t n, size_t *ret_n);
/* How many bytes it has said that nobody took. */
size_t guest_unread(struct guest *g);

void guest_pause(struct guest *g);
void guest_resume(struct guest *g);
/* A paused machine to a file. */
void guest_snapshot(struct guest *g, const char *path);
/* Running to a file; it goes on. */
void guest_freeze(struct guest *g, const char *path);
/* Waits until it ends, which must be so. */
void guest_ends(struct guest *g, enum spore_outcome outcome);
/* Waits until it ends with SPORE_OUTCOME_ERROR and gives the sentence. */
struct spore_error guest_breaks(struct guest *g);

/* Everything in a snapshot but its RAM (docs/snapshot-format.md, section 10); to be freed. */
json_t *frozen_state(const char *path);
/* "vcpu/0/regs/rip": that member; it must be there. */
const json_t *state_at(const json_t *state, const char *path);
/* The same as a number, however it is written. */
uint64_t state_number(const json_t *state, const char *path);

/* The first row of that kind in the table. */
const json_t *state_row(const json_t *state, const char *kind);

/* Freezes a running machine to `path`, again and again with a little running in between, until the
 * frozen state is a moment of the wanted kind. It is paused then. */
typedef bool moment(const json_t *state, void *ctx);
void guest_freeze_at(struct guest *g, const char *path, moment *is_it, void *ctx);

/* Until its boot processor halts and has no interrupt to take: all that was on its way has come. A
 * guest that software KVM interprets takes some only then. Leaves a file behind; it runs. */
void guest_settle(struct guest *g, const char *path);

/* The guest's own pattern and hash. */
uint64_t guest_pattern(uint64_t seed, uint64_t position);
uint64_t guest_pattern_hash(uint64_t seed, uint64_t start, uint64_t len);

void spore_must(int status, const struct spore_error *err, const char *what);
