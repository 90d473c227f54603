/* SPDX-License-Identifier: Apache-2.0 */
/* A machine owned by this process: its control socket, its console on the terminal, the signals
 * that end it. run, restore and monitor are sessions that differ in how the machine starts. */
#pragma once

#include <spore.h>

#include "base/check.h"

struct session_options {
	const char *command;  /* for error lines */
	const char *api_sock; /* NULL: none besides */
	bool publish;         /* take a name in the runtime directory */
	bool detach;
};

struct session;

/* Makes the machine (not started). NULL: *ret_status is the exit status. With
 * `detach` it also returns NULL in the process that was called, when the other one is done. */
must_check struct session *session_open(const struct session_options *o, int *ret_status);
spore_machine *session_machine(struct session *s);
/* Claims the name (NULL: one is made up) and makes the sockets. False: it was said why, and the
 * session is gone; *ret_status. */
must_check bool session_serve(struct session *s, const char *name, int *ret_status);
const char *session_name(const struct session *s);
/* For progress callbacks: ends the process (status 5) if a signal to end has come. */
void session_interrupt(struct session *s);
/* Serves until the machine has ended; the exit status. Frees the session. */
int session_run(struct session *s);
/* Gives up; returns `status`. Frees the session. */
int session_abandon(struct session *s, int status);
