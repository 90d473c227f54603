/* SPDX-License-Identifier: Apache-2.0 */
/* A machine is built from a geometry, not from a topology. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "flow.h"

err_t build(const struct config *cfg, const struct topology *top, const struct vm_options *o,
	    struct diag *d, vm_built **ret_vm);

err_t build(const struct config *cfg, const struct topology *top, const struct vm_options *o,
	    struct diag *d, vm_built **ret_vm)
{
#ifdef MISUSE
	return vm_build(cfg, top, o, d, ret_vm);
#else
	const struct geometry *geo;

	TRY(geometry_plan(top, d, &geo));
	return vm_build(cfg, geo, o, d, ret_vm);
#endif
}
