/* SPDX-License-Identifier: Apache-2.0 */
/* The word that the compiler puts between a function's variables and its return address. */
#pragma once

/* A new random one for the calling thread, and for those that it makes. For a copy of a process: a
 * function that began with the old one must not return. */
void stack_guard_renew(void);
