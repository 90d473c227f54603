/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/device_state.h"

#include "base/heap.h"

err_t disk_mode_parse(uint32_t raw, enum disk_mode *ret_mode)
{
	switch (raw) {
	case DISK_RO: *ret_mode = DISK_RO; return OK;
	case DISK_RW: *ret_mode = DISK_RW; return OK;
	case DISK_COW: *ret_mode = DISK_COW; return OK;
	default: return FAIL(ERR_RANGE);
	}
}

void device_state_clear(struct device_state *d)
{
	free(d->blk.layer_map);
	d->blk.layer_map = NULL;
	d->blk.layer_map_len = 0;
}

bool device_as_blk(const struct device_state *d, struct blk_view *ret_view)
{
	if (d->kind != DEV_BLK)
		return false;
	*ret_view = (struct blk_view){ d };
	return true;
}

bool device_as_rng(const struct device_state *d, struct rng_view *ret_view)
{
	if (d->kind != DEV_RNG)
		return false;
	*ret_view = (struct rng_view){ d };
	return true;
}
