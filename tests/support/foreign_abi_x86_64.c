/* SPDX-License-Identifier: Apache-2.0 */
#include "support/foreign_abi.h"

enum { GETPID_I386 = 20, X32_BIT = 0x40000000 };

long foreign_getpid(void)
{
	long answer = GETPID_I386;

	__asm__ volatile("int $0x80" : "+a"(answer) : : "r8", "r9", "r10", "r11", "memory");
	return answer;
}

long foreign_number(long nr)
{
	return nr | X32_BIT;
}
