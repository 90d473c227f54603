/* SPDX-License-Identifier: Apache-2.0 */
/* Another process, made to do what it would not do by itself: as a guest that has taken it over. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* The first thread of `pid`, which waits in a system call, goes on at an address where there is
 * nothing. */
void puppet_fault(pid_t pid);
/* The word that guards its stack. */
uint64_t puppet_stack_guard(pid_t pid);
/* It makes that call without arguments. */
void puppet_call(pid_t pid, long nr);
