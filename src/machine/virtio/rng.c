/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/virtio/rng.h"

#include <errno.h>
#include <sys/random.h>

enum { PIECE = 4096 };

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

static bool piece_serve(const struct gmem *m, const struct chain *c, uint32_t at, uint32_t n,
			const char **ret_fault)
{
	uint8_t bytes[PIECE];

	if (!random_fill(bytes, n)) {
		*ret_fault = "the host gives no random bytes";
		return false;
	}
	if (failed(chain_write(c, m, at, bytes, n))) {
		*ret_fault = "a buffer's memory is gone";
		return false;
	}
	return true;
}

bool rng_serve(void *own, const struct gmem *m, const struct chain *c, uint32_t *ret_written,
	       const char **ret_fault)
{
	uint32_t n = c->write_len < RNG_REQUEST_MAX ? c->write_len : RNG_REQUEST_MAX;

	(void)own;
	for (uint32_t at = 0; at < n; at += PIECE)
		if (!piece_serve(m, c, at, n - at < PIECE ? n - at : PIECE, ret_fault))
			return false;
	*ret_written = n;
	return true;
}

static err_t become_rng(struct virtio_dev *empty, const struct device_state *saved, struct diag *d)
{
	static const struct virtio_face face; /* no features and no configuration of its own */

	return virtio_become(empty, &face, NULL, saved, d);
}

err_t rng_new(struct virtio_dev *empty)
{
	return become_rng(empty, NULL, NULL);
}

err_t rng_restore(struct virtio_dev *empty, struct rng_view saved, struct diag *d)
{
	return become_rng(empty, saved.dev, d);
}
