/* SPDX-License-Identifier: Apache-2.0 */
/* A device is parked before it is saved. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/virtio/device.h"

err_t keep(struct virtio_dev *dev, struct diag *d, struct device_state *ret);

err_t keep(struct virtio_dev *dev, struct diag *d, struct device_state *ret)
{
#ifdef MISUSE
	return virtio_save(dev, NULL, d, ret);
#else
	struct virtio_parked parked = virtio_quiesce(dev, NULL);
	err_t e = virtio_save(parked, NULL, d, ret);

	virtio_unquiesce(parked);
	return e;
#endif
}
