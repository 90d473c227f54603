/* SPDX-License-Identifier: Apache-2.0 */
/* Counted ownership of a value that never changes: any thread may take or drop a reference that it
 * can prove to exist. Whoever drops the last one frees the value. */
#pragma once

#include <stdatomic.h>

#include "base/check.h"

struct refs { atomic_uint n; };

static inline void refs_init(struct refs *r)
{
	atomic_init(&r->n, 1);
}

static inline void refs_take(struct refs *r)
{
	atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
}

/* True: that was the last. */
must_check static inline bool refs_drop(struct refs *r)
{
	return atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel) == 1;
}
