/* SPDX-License-Identifier: Apache-2.0 */
/* A transition consumes its machine: it wants the variable, not the value. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "life/vm.h"

err_t halt(vm_running *vm, struct diag *d, vm_paused **ret_vm);

err_t halt(vm_running *vm, struct diag *d, vm_paused **ret_vm)
{
#ifdef MISUSE
	return vm_pause(vm, d, ret_vm);
#else
	return vm_pause(&vm, d, ret_vm);
#endif
}
