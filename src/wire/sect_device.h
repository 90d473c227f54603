/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a device section that belong to one kind of device; sect_device.c reads the rest. */
#pragma once

#include "wire/device_state.h"
#include "wire/field.h"

/* Transport, queues and configuration space are read already. *blk is zeroed; on failure it owns
 * nothing. */
must_check err_t blk_state_parse(struct fields *f, const struct device_state *dev,
				 struct blk_state *blk);
void blk_state_encode(struct out *o, const struct blk_state *blk);
