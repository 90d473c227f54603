/* SPDX-License-Identifier: Apache-2.0 */
/* An error is looked at. */
/* EXPECT: ignoring return value */
#include "base/bytes.h"

uint32_t read_one(struct cur *c);

uint32_t read_one(struct cur *c)
{
	uint32_t v = 0;

#ifdef MISUSE
	cur_u32(c, &v);
#else
	if (failed(cur_u32(c, &v)))
		v = 1;
#endif
	return v;
}
