/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/jail/stack_guard.h"

#include <stdint.h>
#include <sys/random.h>

/* The thread control block has it at 0x28 (gcc's -mstack-protector-guard-offset); its lowest byte is
 * zero, so that no string runs over it. */
__attribute__((no_stack_protector)) void stack_guard_renew(void)
{
	uint64_t word;

	if (getrandom(&word, sizeof word, 0) != (ssize_t)sizeof word)
		__builtin_trap();
	word &= ~UINT64_C(0xFF);
	__asm__ volatile("movq %0, %%fs:0x28" : : "r"(word) : "memory");
}
