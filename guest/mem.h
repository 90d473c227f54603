/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns and hashes. Both are defined so that a test can compute them from
 * outside (README.md): they are part of the guest's contract.
 */
#ifndef TGUEST_MEM_H
#define TGUEST_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_START 0xcbf29ce484222325u

/* The pattern's word for a position: an address in memory, a byte on a disk. */
uint64_t pattern_word(uint64_t seed, uint64_t position);

/*
 * At CPL3, whole 8-byte words. pattern_check returns how many bytes from `at` on
 * are right.
 */
void pattern_fill(void *at, uint64_t len, uint64_t seed, uint64_t position);
uint64_t pattern_check(const void *at, uint64_t len, uint64_t seed, uint64_t position);
void mem_zero(void *at, uint64_t len);
uint64_t hash_more(uint64_t hash, const void *at, uint64_t len);

/*
 * START LEN of a command: multiples of 8 that can be mapped, and are; for writing
 * a range clear of the guest itself. NULL, or the fault.
 */
struct args;
const char *range_args(struct args *a, bool writes, uint64_t *ret_start, uint64_t *ret_len);

/* Maps [start, start + len), which lies above 4 GiB or not; false if it cannot. */
bool mem_reach(uint64_t start, uint64_t len);

#endif
