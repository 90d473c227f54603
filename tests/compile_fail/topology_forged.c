/* SPDX-License-Identifier: Apache-2.0 */
/* A topology is made by its maker alone: nobody can fill one in. */
/* EXPECT: incomplete type|storage size */
#include "plan/topology.h"

uint32_t slots(const struct topology *t);

uint32_t slots(const struct topology *t)
{
#ifdef MISUSE
	struct topology mine;

	(void)mine;
#endif
	return topology_slots(t);
}
