/* SPDX-License-Identifier: Apache-2.0 */
/* A disk's state is not looked at as an entropy device's. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/virtio/device.h"

err_t again(const struct topo_slot *slot, const struct virtio_wires *w, const struct device_state *s,
	    struct diag *d, struct virtio_dev **ret_dev);

err_t again(const struct topo_slot *slot, const struct virtio_wires *w, const struct device_state *s,
	    struct diag *d, struct virtio_dev **ret_dev)
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
	return rng_restore(slot, w, view, d, ret_dev);
}
