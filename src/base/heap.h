/* SPDX-License-Identifier: Apache-2.0 */
/* Owned heap blocks: freed when the variable goes out of scope unless they were taken. */
#pragma once

#include <stdlib.h>

#include "base/check.h"

/* syscalls(control): brk? munmap? (the C library's heap has to grow, or can shrink) */
static inline void heap_drop(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

#define owned_heap __attribute__((cleanup(heap_drop)))

/* Moves a pointer out of an owned variable, leaving NULL behind. */
#define take_ptr(p) \
	({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
