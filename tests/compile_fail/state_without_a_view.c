/* SPDX-License-Identifier: Apache-2.0 */
/* A device is restored from a view of its kind, not from any device's state. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/virtio/device.h"

err_t again(const struct topo_slot *slot, const struct virtio_wires *w, const struct device_state *s,
	    struct diag *d, struct virtio_dev **ret_dev);

err_t again(const struct topo_slot *slot, const struct virtio_wires *w, const struct device_state *s,
	    struct diag *d, struct virtio_dev **ret_dev)
{
#ifdef MISUSE
	return rng_restore(slot, w, s, d, ret_dev);
#else
	struct rng_view view;

	if (!device_as_rng(s, &view))
		return FAIL(ERR_DEVICE);
	return rng_restore(slot, w, view, d, ret_dev);
#endif
}
