/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/virtio/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/heap.h"

/* All that the device keeps is where it puts the bytes on their way. */
struct rng {
	uint8_t bytes[RNG_REQUEST_MAX];
};

/* syscalls(device): getrandom */
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

static err_t become_rng(struct virtio_dev *empty, const struct device_state *saved, struct diag *d)
{
	static const struct virtio_face face; /* no features and no configuration of its own */
	owned_heap struct rng *r = malloc(sizeof *r);

	if (r == NULL)
		return FAIL(ERR_NOMEM);
	TRY(virtio_become(empty, &face, r, saved, d));
	(void)take_ptr(r);
	return OK;
}

err_t rng_new(struct virtio_dev *empty)
{
	return become_rng(empty, NULL, NULL);
}

err_t rng_restore(struct virtio_dev *empty, struct rng_view saved, struct diag *d)
{
	return become_rng(empty, saved.dev, d);
}
