/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that never ran is started, not resumed. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "life/vm.h"

err_t begin(vm_built **vm, struct diag *d, vm_running **ret_vm);

err_t begin(vm_built **vm, struct diag *d, vm_running **ret_vm)
{
#ifdef MISUSE
	return vm_resume(vm, d, ret_vm);
#else
	return vm_start(vm, d, ret_vm);
#endif
}
