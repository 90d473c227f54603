/* SPDX-License-Identifier: Apache-2.0 */
/* A split virtqueue as the device works on it (virtio 1.2, 2.7).
 *
 * Where it lies and how long it is was judged once, by virtq_rings_ok, and is a private copy that
 * the guest cannot reach. Everything in the rings is the guest's to change at any moment, so each
 * index and each descriptor is copied once and then judged. The three parts may overlap each other
 * or anything else in RAM: only the guest gets hurt.
 *
 * A queue that breaks the rules says why in `fault` and is not used again. Not for use by two
 * threads at once. */
#pragma once

#include "machine/ram/gmem.h"

enum { VIRTQ_SIZE_MAX = 256 };

struct virtq_rings {
	uint16_t size;
	gpa_t desc, driver, device;
	bool event_idx; /* 2.7.10: the two rings carry an event index behind them */
};

/* Size a power of two up to the maximum; parts aligned to 16, 2 and 4, each in one piece of RAM
 * (2.7). NULL when so, else the part at fault, as queue_state names it. */
must_check const char *virtq_rings_fault(const struct gmem *m, const struct virtq_rings *r);

struct virtq {
	const struct gmem *mem;
	struct virtq_rings rings;
	bool indirect;       /* VIRTIO_F_INDIRECT_DESC was negotiated */
	uint16_t next_avail; /* the next entry of the available ring to take */
	uint16_t next_used;  /* used.idx */
	uint16_t added;      /* used entries since the driver was last interrupted, at most size */
	const char *fault;   /* NULL: sound */
};

/* Buffers of one request: first those to read, then those to write (2.7.4.2). All of them in RAM
 * when they were copied, none empty. */
struct segment { gpa_t at; uint32_t len; };
struct chain {
	uint16_t head;
	uint16_t n_read, n_write;
	uint32_t read_len, write_len;
	struct segment seg[VIRTQ_SIZE_MAX];
};

enum virtq_pop { VIRTQ_EMPTY, VIRTQ_CHAIN, VIRTQ_BROKEN };

/* Takes the next request. Empty: nothing was taken. */
must_check enum virtq_pop virtq_pop(struct virtq *q, struct chain *ret_chain);
/* Gives a request back, `written` bytes filled from the first of its buffers to write. False: the
 * queue broke. */
must_check bool virtq_push(struct virtq *q, uint16_t head, uint32_t written);
/* Does the driver want an interrupt for what was given back since the last? */
must_check bool virtq_interrupt(struct virtq *q, bool *ret_wanted);
/* Asks for a doorbell, then looks again: *ret_more when something came in between. */
must_check bool virtq_rearm(struct virtq *q, bool *ret_more);
/* How many requests wait; false when the driver claims more than the queue holds. */
must_check bool virtq_waiting(struct virtq *q, uint16_t *ret_n);

/* Buffers to read or to write of a chain, without its first `skip` bytes and no more than `len`, as
 * pieces of host memory. `write` chooses. The caller has bounded skip + len by the chain's. */
must_check err_t chain_iovecs(const struct chain *c, const struct gmem *m, bool write,
			      uint32_t skip, uint32_t len, struct iovec *iov, size_t cap,
			      size_t *ret_n);
/* The same range copied in, and out. */
must_check err_t chain_read(const struct chain *c, const struct gmem *m, uint32_t skip,
			    void *ret_bytes, uint32_t len);
must_check err_t chain_write(const struct chain *c, const struct gmem *m, uint32_t skip,
			     const void *bytes, uint32_t len);
