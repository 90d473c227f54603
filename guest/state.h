/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register file: what state.S loads, and afterwards what it found. The layout
 * is fixed by layout.h.
 */
#ifndef TGUEST_STATE_H
#define TGUEST_STATE_H

#include <stdint.h>

#include "layout.h"

struct state {
	uint64_t left; /* rounds to spin; 0 goes on until a serial byte */
	uint32_t avx;
	uint32_t mxcsr;
	uint16_t fcw;
	uint64_t flags;
	uint64_t gpr[STATE_GPRS]; /* rbx rcx rdx rsi rdi rbp r8-r15; rax holds the address */
	uint64_t unused[2];
	uint8_t st[8][16];
	uint8_t vec[16][32];
};

/* Both return 0, or what RAX was off by. */
uint64_t state_spin(struct state *s);
uint64_t state_spin_user(struct state *s);

#endif
