/* SPDX-License-Identifier: Apache-2.0 */
/* RAM is walked with the vCPUs stopped, and who stopped them has a witness. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/ram/ram.h"
#include "machine/vcpu/vcpus.h"

err_t count(const struct ram *r, struct vcpus *v, struct ram_visitor each, struct diag *d);

err_t count(const struct ram *r, struct vcpus *v, struct ram_visitor each, struct diag *d)
{
#ifdef MISUSE
	(void)v;
	return ram_walk(r, 0, d, each);
#else
	return ram_walk(r, vcpus_park(v), d, each);
#endif
}
