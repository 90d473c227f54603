/* SPDX-License-Identifier: Apache-2.0 */
#include "mutate/heap_count.h"

#include <stddef.h>

static uint64_t counted;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void heap_count_start(void)
{
	counted = 0;
}

uint64_t heap_counted(void)
{
	return counted;
}

void *__wrap_malloc(size_t n)
{
	counted += n;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	uint64_t bytes;

	counted += __builtin_mul_overflow(n, size, &bytes) ? UINT64_MAX / 2 : bytes;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	counted += n;
	return __real_realloc(p, n);
}
