/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration is not yet a topology. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "flow.h"
#include "plan/config.h"

err_t plan(const struct config *cfg, struct diag *d, const struct topology **ret_top);

err_t plan(const struct config *cfg, struct diag *d, const struct topology **ret_top)
{
#ifdef MISUSE
	return topology_plan(cfg, d, ret_top);
#else
	struct shape shape = config_shape(cfg);

	return topology_plan(&shape, d, ret_top);
#endif
}
