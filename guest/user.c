/* SPDX-License-Identifier: Apache-2.0 */
/* The MSRs behind user_call: see user.h. */
#include "user.h"

#include "cpu.h"
#include "layout.h"

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define SFMASK_NEEDED 0x700 /* IF, DF and TF are off on entry */
#define SFMASK_FREE 0x8d5   /* the arithmetic flags do not matter there */

extern char syscall_aliases[];

struct user_msrs user_expect(uint64_t seed)
{
	return (struct user_msrs){
		/* The low half of STAR is for 32-bit code, which there is none of. */
		.star = (uint64_t)SEL_USER32 << 48 | (uint64_t)SEL_CODE64 << 32 | (uint32_t)seed,
		.lstar = (uintptr_t)syscall_aliases + STUB_BYTES * (seed % SYSCALL_ALIASES),
		.sfmask = SFMASK_NEEDED | (seed >> 8 & SFMASK_FREE),
	};
}

void user_setup(uint64_t seed)
{
	struct user_msrs m = user_expect(seed);

	cpu_wrmsr(MSR_STAR, m.star);
	cpu_wrmsr(MSR_LSTAR, m.lstar);
	cpu_wrmsr(MSR_SFMASK, m.sfmask);
}
