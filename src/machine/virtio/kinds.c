/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of virtio device there is. */
#include "machine/virtio/blk.h"
#include "machine/virtio/rng.h"

static const struct virtio_kind kinds[] = {
	{ DEV_BLK, false, blk_serve, blk_free },
	{ DEV_RNG, true, rng_serve, NULL },
};

const struct virtio_kind *virtio_kind_of(enum dev_kind kind)
{
	for (size_t i = 0; i < countof(kinds); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	unreachable_by_type();
}
