/* SPDX-License-Identifier: Apache-2.0 */
/* A view is given after the kind was checked, and not without. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "wire/device_state.h"

bool is_disk(const struct device_state *dev);

bool is_disk(const struct device_state *dev)
{
	struct blk_view view;

#ifdef MISUSE
	struct rng_view other;

	(void)view;
	return device_as_blk(dev, &other);
#else
	return device_as_blk(dev, &view);
#endif
}
