/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory as devices and loaders see it. The guest may change any byte at any moment, so it
 * lends no pointers to anything that is judged: copy in once, then look at the copy. Bulk data
 * goes through iovecs from gmem_iovecs, which the kernel reads and writes.
 *
 * Addresses are checked for wrap-around, holes and region ends; a range may cross from one region
 * into the next only where they touch. The file behind a restored machine's RAM can be cut short
 * by somebody else: the copies then fail with ERR_RAM_LOST instead of dying of SIGBUS.
 *
 * Any thread may use a gmem; it is immutable once made. */
#pragma once

#include <sys/uio.h>

#include "plan/geometry.h"

struct gmem {
	uint8_t *base; /* RAM, contiguous in the host: region offsets count from here */
	uint32_t n_regions;
	struct ram_region regions[RAM_REGIONS_MAX];
};

must_check err_t gmem_copy_in(const struct gmem *m, gpa_t at, void *ret, size_t n);
must_check err_t gmem_copy_out(const struct gmem *m, gpa_t at, const void *bytes, size_t n);
must_check err_t gmem_zero(const struct gmem *m, gpa_t at, size_t n);

/* Ring indices: one atomic access, naturally aligned or ERR_GUEST_MEMORY. */
must_check err_t gmem_load_acquire_u16(const struct gmem *m, gpa_t at, uint16_t *ret);
must_check err_t gmem_store_release_u16(const struct gmem *m, gpa_t at, uint16_t v);

/* Splits [at, at+n) into at most `cap` iovecs; *io_n counts on from where it was. */
must_check err_t gmem_iovecs(const struct gmem *m, gpa_t at, size_t n, struct iovec *iov, size_t cap,
			     size_t *io_n);
must_check bool gmem_holds(const struct gmem *m, gpa_t at, bytes_t n);
