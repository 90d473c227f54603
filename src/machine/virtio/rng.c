/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/virtio/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/heap.h"

/* All that the device keeps is where it puts the bytes on their way. */
struct rng {
	uint8_t bytes[RNG_REQUEST_MAX];
};

static bool random_fill(uint8_t *bytes, uint32_t n)
{
	while (n != 0) {
		ssize_t got = getrandom(bytes, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		bytes += got;
		n -= (uint32_t)got;
	}
	return true;
}

bool rng_serve(void *own, const struct gmem *m, const struct chain *c, uint32_t *ret_written,
	       const char **ret_fault)
{
	struct rng *r = own;
	uint32_t n = c->write_len < RNG_REQUEST_MAX ? c->write_len : RNG_REQUEST_MAX;

	if (!random_fill(r->bytes, n)) {
		*ret_fault = "the host gives no random bytes";
		return false;
	}
	if (failed(chain_write(c, m, 0, r->bytes, n))) {
		*ret_fault = "a buffer's memory is gone";
		return false;
	}
	*ret_written = n;
	return true;
}

void rng_free(void *own)
{
	free(own);
}

static err_t rng_make(const struct topo_slot *slot, const struct virtio_wires *w,
		      const struct device_state *saved, struct diag *d, struct virtio_dev **ret_dev)
{
	static const struct virtio_face face; /* no features and no configuration of its own */
	owned_heap struct rng *r = malloc(sizeof *r);
	struct virtio_dev *v;
	err_t e = OK;

	if (r == NULL)
		return FAIL(ERR_NOMEM);
	TRY(virtio_make(slot, w, &face, r, d, &v));
	if (saved != NULL)
		e = virtio_load(v, saved, d);
	if (!failed(e))
		e = virtio_start(v, d);
	if (failed(e)) {
		virtio_unmake(v);
		return e;
	}
	(void)take_ptr(r);
	*ret_dev = v;
	return OK;
}

err_t rng_new(const struct topo_slot *slot, const struct virtio_wires *w, struct diag *d,
	      struct virtio_dev **ret_dev)
{
	return rng_make(slot, w, NULL, d, ret_dev);
}

err_t rng_restore(const struct topo_slot *slot, const struct virtio_wires *w, struct rng_view saved,
		  struct diag *d, struct virtio_dev **ret_dev)
{
	return rng_make(slot, w, saved.dev, d, ret_dev);
}
