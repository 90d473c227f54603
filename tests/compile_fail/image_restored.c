/* SPDX-License-Identifier: Apache-2.0 */
/* A machine is restored from an opened snapshot, not from the image in it. */
/* EXPECT: from incompatible pointer type|incompatible pointer types */
#include "life/snapshot.h"

err_t restore(struct snapshot *s, const struct restore_options *o, const struct vm_options *vo,
	      struct diag *d, vm_paused **ret_vm);

err_t restore(struct snapshot *s, const struct restore_options *o, const struct vm_options *vo,
	      struct diag *d, vm_paused **ret_vm)
{
#ifdef MISUSE
	return vm_restore(snapshot_image(s), o, vo, d, ret_vm);
#else
	return vm_restore(s, o, vo, d, ret_vm);
#endif
}
