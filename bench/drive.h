/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that measure spawns share: calls that must succeed, a guest's console as lines,
 * and zygotes as they are wanted. Trusts its callers, who trust theirs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "spore.h"

enum { DRIVE_LINE = 256 };

void must(int result, const struct spore_error *e);
uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* Waits until the guest has written more than `seen` bytes in all. */
void output_await(spore_machine *m, uint64_t seen);
void type(spore_machine *m, const char *text);
/* The first line from position *io_seen on that begins with `with`, without its end; *io_seen is then
 * behind it. A guest that says "err" instead ends the program. */
void line_await(spore_machine *m, const char *with, uint64_t *io_seen, char line[static DRIVE_LINE]);

/* The guests that wait to be measured: one writes to the serial port without end, one answers bytes. */
enum guest { GUEST_BEATS, GUEST_ANSWERS };
/* The machine of a snapshot file, frozen, with that guest in it. Then `depth` times a child of the last
 * zygote scatters 256 pages of its own and is frozen in its turn. */
spore_zygote *zygote_at_depth(const char *state, enum guest g, unsigned depth);
spore_machine *spawn_running(spore_zygote *z, spore_pool *pool);
