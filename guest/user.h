/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions run at CPL3, with interrupts on. Everything is mapped for CPL3, so
 * any function that needs no privilege can be run there; long loops are, because
 * software KVM runs CPL3 at full speed and interprets CPL0.
 */
#ifndef TGUEST_USER_H
#define TGUEST_USER_H

#include <stdint.h>

typedef uint64_t (*user_fn)(uint64_t a, uint64_t b, uint64_t c);

/* trap.S */
uint64_t user_call(user_fn fn, uint64_t a, uint64_t b, uint64_t c);

/*
 * STAR, LSTAR and SFMASK of this CPU. Different seeds give different values that
 * all work (msr.c); user_expect tells what they are.
 */
void user_setup(uint64_t seed);

struct user_msrs {
	uint64_t star, lstar, sfmask;
};
struct user_msrs user_expect(uint64_t seed);

#endif
