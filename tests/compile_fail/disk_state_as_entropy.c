/* SPDX-License-Identifier: Apache-2.0 */
/* A disk's state is not looked at as an entropy device's. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/virtio/device.h"

err_t again(struct virtio_dev *empty, const struct device_state *s, struct diag *d);

err_t again(struct virtio_dev *empty, const struct device_state *s, struct diag *d)
{
#ifdef MISUSE
	struct blk_view view;

	if (!device_as_blk(s, &view))
		return FAIL(ERR_DEVICE);
#else
	struct rng_view view;

	if (!device_as_rng(s, &view))
		return FAIL(ERR_DEVICE);
#endif
	return rng_restore(empty, view, d);
}
