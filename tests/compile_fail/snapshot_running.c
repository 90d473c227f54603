/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine has no snapshot: it is paused first. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "life/snapshot.h"

err_t save(vm_running **vm, const struct snapshot_options *o, struct diag *d);

err_t save(vm_running **vm, const struct snapshot_options *o, struct diag *d)
{
#ifdef MISUSE
	return snapshot_take(*vm, o, d);
#else
	vm_paused *paused;

	TRY(vm_pause(vm, d, &paused));
	return snapshot_take(paused, o, d);
#endif
}
