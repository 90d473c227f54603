/* SPDX-License-Identifier: Apache-2.0 */
/* A paused machine is not paused again. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "life/vm.h"

err_t again(vm_paused **vm, struct diag *d, vm_running **ret_vm);

err_t again(vm_paused **vm, struct diag *d, vm_running **ret_vm)
{
#ifdef MISUSE
	(void)ret_vm;
	return vm_pause(vm, d, vm);
#else
	return vm_resume(vm, d, ret_vm);
#endif
}
