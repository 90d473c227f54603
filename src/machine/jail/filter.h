/* SPDX-License-Identifier: Apache-2.0 */
/* The last wall: which system calls a thread may still make.
 *
 * Each kind of thread has a filter. It is made by the build from comments beside the code that
 * makes the calls (tools/syscalls.py has their form), so that a call and its permission are one
 * edit, and it lies in the program as an array: taking it is one system call. Whatever is not
 * declared, another architecture's calls included, ends the whole process with SIGSYS. */
#pragma once

#include "base/diag.h"

enum jail_thread {
	JAIL_VCPU,    /* runs the guest, answers its exits */
	JAIL_DEVICE,  /* does a device's I/O */
	JAIL_CONTROL, /* the worker's first thread: speaks to the supervisor */
};

/* The calling thread takes its filter, for good. After jail_enter, or at least PR_SET_NO_NEW_PRIVS.
 * A thread that is made later by this one has the filter too, so the control thread, which makes
 * the others, takes its own last. A thread for which this fails must not go on. */
must_check err_t jail_filter_take(enum jail_thread kind, struct diag *d);
