/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (virtio 1.2, 5.4): `rng SLOT LEN`. */
#include "commands.h"
#include "mem.h"
#include "virtio.h"

#define RNG_PART 4096

static uint8_t buffer[RNG_PART] __attribute__((aligned(4096)));

/* One request of len bytes; a device may give fewer, but not none. */
static const char *rng_read(struct virtio *v, uint32_t len, uint32_t *ret_got)
{
	struct segment segment = { buffer, len, true };
	const char *fault;
	uint16_t cookie;

	mem_zero(buffer, sizeof buffer);
	if (!virtq_add(&v->q[0], &segment, 1, 0))
		return "the queue is full";
	virtq_kick(v, &v->q[0]);
	virtio_wait(v);
	fault = virtq_take(&v->q[0], &cookie, ret_got);
	if (fault != NULL)
		return fault;
	return *ret_got == 0 || *ret_got > len ? "the used length is wrong" : NULL;
}

const char *cmd_rng(struct args *a, struct reply *r)
{
	uint64_t slot, len, hash = HASH_START;
	const char *fault;
	struct virtio *v;

	if (!args_number(a, &slot) || !args_number(a, &len) || len == 0)
		return USAGE;
	v = virtio_slot(slot, VIRTIO_ID_RNG);
	if (v == NULL)
		return "no rng in that slot";
	fault = virtio_open(v, 0, 1);
	for (uint64_t done = 0; done < len && fault == NULL;) {
		uint32_t got = 0;

		fault = rng_read(v, len - done < RNG_PART ? (uint32_t)(len - done) : RNG_PART, &got);
		if (done == 0)
			reply_bytes(r, "head", buffer, got < 16 ? got : 16);
		hash = hash_more(hash, buffer, got);
		done += got;
	}
	if (fault != NULL)
		(void)virtio_reset(v);
	reply_hex(r, "hash", hash);
	reply_dec(r, "irqs", v->queue_irqs);
	return fault;
}
