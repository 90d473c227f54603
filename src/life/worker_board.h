/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker shows its supervisor without being asked: the end of its console, and when its guest
 * was entered and came out first. Shared memory: the worker writes, the supervisor reads and believes
 * none of it; the worst it can see is nonsense. */
#pragma once

#include "base/diag.h"
#include "base/own.h"

enum { BOARD_KEPT = 65536 };

struct board {
	map_t map;
	fd_t memfd;     /* what is mapped; FD_NONE on the worker's side */
	fd_t event;     /* eventfd: signalled when a reader that has seen all waits for more */
	bool can_write; /* the worker's side */
};

/* The supervisor's side: `memfd` and `event` are to be handed over. */
must_check err_t board_new(struct diag *d, struct board *ret);
/* The next supervisor's, of which no more than the descriptors are there. */
must_check err_t board_adopt(struct board *b, struct diag *d);
/* The worker's side; both descriptors are taken. */
must_check err_t board_open(fd_t *memfd, fd_t *event, struct diag *d, struct board *ret);
void board_drop(struct board *b);

/* The worker's: on one vCPU's thread at a time. */
void board_write(struct board *b, const uint8_t *bytes, size_t n);
void board_ran(struct board *b, uint64_t entered_ns, uint64_t exited_ns);

/* The supervisor's. As spore_machine_output: the bytes from position `from` on, at most `cap`, and the
 * position of the first. One thread at a time. */
size_t board_read(struct board *b, uint64_t from, void *ret_bytes, size_t cap, uint64_t *ret_from);
/* CLOCK_MONOTONIC in ns; 0: not yet. */
uint64_t board_entered(const struct board *b);
uint64_t board_exited(const struct board *b);
