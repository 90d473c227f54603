/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a console: raw while a guest has it, as it was on every way out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Standard input is a terminal that this process may change (it is in the foreground). */
bool tty_is_ours(void);
/* Raw mode, output processing kept; undone by tty_restore, and at exit by itself. */
void tty_raw(void);
void tty_restore(void);

/* What was typed goes to the guest, but for Ctrl-A and the key behind it. */
enum key_action { KEY_NONE, KEY_STOP, KEY_DETACH, KEY_HELP };
struct keys {
	bool escaped; /* Ctrl-A was typed */
};
/* Copies to `ret` (room for n + 1 bytes) what is the guest's, up to and without the first escape
 * sequence that asks for something. *ret_used bytes of the input were looked at. */
enum key_action keys_filter(struct keys *k, const uint8_t *in, size_t n, uint8_t *ret,
			    size_t *ret_n, size_t *ret_used);
