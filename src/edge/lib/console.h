/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest wrote to its console: the last 64 KiB for whoever attaches, and on the way a
 * descriptor and a callback that get every byte.
 *
 * One vCPU thread at a time writes (the serial port sees to it); any thread reads. Positions count
 * every byte since the machine was made, so that a reader notices what it missed. */
#pragma once

#include <pthread.h>
#include <spore.h>
#include <stdatomic.h>

#include "base/diag.h"
#include "base/own.h"

enum { CONSOLE_KEPT = 65536 };

struct console {
	pthread_mutex_t lock;
	uint64_t total;          /* bytes ever written */
	bool armed;              /* a reader has seen everything and wants to be woken */
	fd_t event;
	atomic_int out_fd;       /* borrowed; -1: none, or its reader went away */
	atomic_bool hurry;       /* the machine is about to stand still: wait for no reader */
	void (*callback)(void *ctx, const uint8_t *bytes, size_t n);
	void *ctx;
	uint8_t *kept;           /* CONSOLE_KEPT, a ring; owned */
};

must_check err_t console_init(struct console *c, const struct spore_machine_options *o,
			      struct diag *d);
void console_fini(struct console *c);

/* The callback of struct vm_options. */
void console_write(void *console, const uint8_t *bytes, size_t n);
/* Between hurry and calm nobody waits for a reader that does not keep up. */
void console_hurry(struct console *c);
void console_calm(struct console *c);

/* spore_machine_output's contract. */
size_t console_read(struct console *c, uint64_t from, void *ret_bytes, size_t cap,
		    uint64_t *ret_from);
