/* SPDX-License-Identifier: Apache-2.0 */
/* A geometry is immutable and opaque. */
/* EXPECT: incomplete (type|definition)|undefined type|storage size */
#include "plan/geometry.h"

bytes_t ram(const struct geometry *g);

bytes_t ram(const struct geometry *g)
{
#ifdef MISUSE
	return g->ram;
#else
	return geometry_ram(g);
#endif
}
