/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device (virtio 1.2, 5.4). */
#pragma once

#include "machine/virtio/device_parts.h"

/* However many buffers a request has, and however they overlap. */
enum { RNG_REQUEST_MAX = 65536 };

bool rng_serve(void *own, const struct gmem *m, const struct chain *c, uint32_t *ret_written,
	       const char **ret_fault);
