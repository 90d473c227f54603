/* SPDX-License-Identifier: Apache-2.0 */
/* An error is not a truth value: which way round would it be? */
/* EXPECT: used struct type value where scalar is required|requires expression of scalar type */
#include "base/bytes.h"

uint32_t read_one(struct cur *c);

uint32_t read_one(struct cur *c)
{
	uint32_t v = 0;

#ifdef MISUSE
	if (cur_u32(c, &v))
#else
	if (failed(cur_u32(c, &v)))
#endif
		v = 1;
	return v;
}
