/* SPDX-License-Identifier: Apache-2.0 */
/* Units are types: a number that means one thing cannot be passed where another is meant.
 *
 * Each is a one-member struct, so there is no implicit conversion in either direction and no
 * cost. `.v` is for making one from a literal or a decoded field, and for arithmetic that the
 * helpers below do not cover; addition of guest-visible or file-visible numbers goes through the
 * checked helpers. */
#pragma once

#include "base/check.h"

typedef struct { uint64_t v; } gpa_t;    /* guest physical address                        */
typedef struct { uint64_t v; } foff_t;   /* offset in a snapshot file                     */
typedef struct { uint64_t v; } bytes_t;  /* a length in bytes, never an address           */
typedef struct { uint32_t v; } gsi_t;    /* global system interrupt: IOAPIC pin           */
typedef struct { uint32_t v; } slot_id;  /* virtio-mmio slot, 0 is the lowest window      */
typedef struct { uint32_t v; } queue_id; /* virtqueue index within its device             */
typedef struct { uint32_t v; } vcpu_id;  /* vCPU index, 0 is the boot processor           */

#define GPA(n)   ((gpa_t){ (n) })
#define FOFF(n)  ((foff_t){ (n) })
#define BYTES(n) ((bytes_t){ (n) })

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* The first address past [a, a+n); false when it does not fit in 64 bits. */
must_check static inline bool gpa_end(gpa_t a, bytes_t n, gpa_t *ret_end)
{
	uint64_t end;

	if (__builtin_add_overflow(a.v, n.v, &end))
		return false;
	*ret_end = GPA(end);
	return true;
}

must_check static inline bool foff_end(foff_t a, bytes_t n, foff_t *ret_end)
{
	uint64_t end;

	if (__builtin_add_overflow(a.v, n.v, &end))
		return false;
	*ret_end = FOFF(end);
	return true;
}

must_check static inline bool bytes_add(bytes_t a, bytes_t b, bytes_t *ret_sum)
{
	uint64_t sum;

	if (__builtin_add_overflow(a.v, b.v, &sum))
		return false;
	*ret_sum = BYTES(sum);
	return true;
}

must_check static inline bool bytes_mul(bytes_t a, uint64_t n, bytes_t *ret_product)
{
	uint64_t product;

	if (__builtin_mul_overflow(a.v, n, &product))
		return false;
	*ret_product = BYTES(product);
	return true;
}

/* Up to the next multiple of `align` (a power of two); false when that does not fit. */
must_check static inline bool u64_align_up(uint64_t v, uint64_t align, uint64_t *ret_up)
{
	uint64_t up;

	if (__builtin_add_overflow(v, align - 1, &up))
		return false;
	*ret_up = up & ~(align - 1);
	return true;
}

must_check static inline bool foff_align_up(foff_t a, uint64_t align, foff_t *ret_up)
{
	return u64_align_up(a.v, align, &ret_up->v);
}

/* Is [at, at+n) wholly inside [start, start+len)? Wrap-around counts as outside. */
must_check static inline bool range_holds(uint64_t start, uint64_t len, uint64_t at, uint64_t n)
{
	uint64_t off;

	if (__builtin_sub_overflow(at, start, &off))
		return false;
	return off <= len && n <= len - off;
}

/* Do [a, a+an) and [b, b+bn) share a byte? Neither may wrap. */
must_check static inline bool ranges_overlap(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
	return an != 0 && bn != 0 && a < b + bn && b < a + an;
}

must_check static inline bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}
