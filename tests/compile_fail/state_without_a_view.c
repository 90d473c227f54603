/* SPDX-License-Identifier: Apache-2.0 */
/* A device is restored from a view of its kind, not from any device's state. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/virtio/device.h"

err_t again(struct virtio_dev *empty, const struct device_state *s, struct diag *d);

err_t again(struct virtio_dev *empty, const struct device_state *s, struct diag *d)
{
#ifdef MISUSE
	return rng_restore(empty, s, d);
#else
	struct rng_view view;

	if (!device_as_rng(s, &view))
		return FAIL(ERR_DEVICE);
	return rng_restore(empty, view, d);
#endif
}
