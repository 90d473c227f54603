/* SPDX-License-Identifier: Apache-2.0 */
/* An error is not a count or a descriptor. */
/* EXPECT: incompatible types when initializing|with an expression of incompatible type */
#include "base/bytes.h"

int read_one(struct cur *c);

int read_one(struct cur *c)
{
	uint32_t v = 0;

#ifdef MISUSE
	int r = cur_u32(c, &v);
#else
	int r = (int)cur_u32(c, &v).code;
#endif
	return r;
}
