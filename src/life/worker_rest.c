/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_rest.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096, DEPTH = 128 << 10 }; /* deeper than it ever was */

/* What lies below the frame of whoever waits is left over from what was called before. A page is left
 * to the call that is being made; where the stack ends sooner, the rest of the range is not there. */
static __attribute__((noinline)) void stack_give_back(void)
{
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1)) - PAGE;

	(void)madvise((void *)(end - DEPTH), DEPTH, MADV_DONTNEED);
}

/* syscalls(control): madvise=MADV_DONTNEED */
void worker_rest(void)
{
	(void)malloc_trim(0);
	stack_give_back();
}
