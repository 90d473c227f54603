/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/geometry.h"
#include "wire/device_state.h"

/* Every ring of a ready queue lies within one region of RAM: ERR_DEVICE otherwise. */
must_check err_t rings_check(const struct geometry *g, const struct device_state *v,
			     struct diag *d);
