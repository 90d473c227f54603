/* SPDX-License-Identifier: Apache-2.0 */
/* Surviving the loss of guest memory. RAM may be a private mapping of a file, and whoever owns the
 * file can cut it short; the page is then gone and the next access is a SIGBUS (mmap(2)).
 *
 * An access is made between guard_enter and guard_leave:
 *
 *     struct guard g;
 *
 *     if (guard_enter(&g, lo, len))
 *             return FAIL(ERR_RAM_LOST);
 *     ... touch [lo, lo + len), call nothing that must not be abandoned half way ...
 *     guard_leave();
 *
 * The handler is installed at the first access, and again where RAM is made if somebody else's has
 * taken its place by then. A SIGBUS elsewhere, or on a thread without a guard, goes to the handler
 * that was there before. */
#pragma once

#include <setjmp.h>

#include "base/check.h"

struct guard {
	sigjmp_buf back;
	uintptr_t lo;
	size_t len;
};

void guard_install(void);
void guard_arm(struct guard *g, const void *lo, size_t len);
void guard_leave(void);

/* False now, true when it comes back because the memory was lost; the guard is left by then. The
 * signal mask is not saved (a system call per access): the handler runs with SIGBUS open. */
#define guard_enter(g, lo, len) (guard_arm((g), (lo), (len)), sigsetjmp((g)->back, 0) != 0)
