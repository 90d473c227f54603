/* SPDX-License-Identifier: Apache-2.0 */
/* A request is not a configuration before it was validated. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "flow.h"
#include "plan/config.h"

err_t build(const struct request *req, const struct geometry *geo, const struct vm_options *o,
	    struct diag *d, vm_built **ret_vm);

err_t build(const struct request *req, const struct geometry *geo, const struct vm_options *o,
	    struct diag *d, vm_built **ret_vm)
{
#ifdef MISUSE
	return vm_build(req, geo, o, d, ret_vm);
#else
	const struct config *cfg;

	TRY(config_validate(req, d, &cfg));
	return vm_build(cfg, geo, o, d, ret_vm);
#endif
}
