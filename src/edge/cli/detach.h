/* SPDX-License-Identifier: Apache-2.0 */
/* --detach: the command returns when the machine runs, with its name, or with what went wrong. The
 * machine lives on in a process of its own, a grandchild, in a session of its own. */
#pragma once

#include "base/check.h"

/* In the caller: waits for the grandchild's verdict; returns false, and *ret_status is the exit
 * status. In the grandchild: returns true; *ret_fd is where the verdict goes. */
must_check bool detach_fork(int *ret_fd, int *ret_status);
/* The verdict: all went well. From here on the process has no terminal and no output. */
void detach_done(int fd);
