/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt number is not a device slot. */
/* EXPECT: incompatible types when (assigning|returning)|returning '.*' from a function with incompatible result type */
#include "plan/topology.h"

slot_id slot_of(const struct topo_slot *s);

slot_id slot_of(const struct topo_slot *s)
{
#ifdef MISUSE
	return s->gsi;
#else
	return s->slot;
#endif
}
