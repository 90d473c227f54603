/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that speak to a machine in another process: by NAME, or by the path of its socket. */
#pragma once

#include <spore.h>

/* Opens, calls, says what went wrong; the exit status. */
int remote_do(const char *command, const char *name,
	      int (*call)(spore_machine *m, struct spore_error *err));
