/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody counts in machines, copies one or looks into it. */
/* EXPECT: unknown size|undefined type|incomplete type|incomplete typedef */
#include "life/vm.h"

vm_paused *twin(vm_paused *vm);

vm_paused *twin(vm_paused *vm)
{
#ifdef MISUSE
	return vm + 1;
#else
	return vm;
#endif
}
