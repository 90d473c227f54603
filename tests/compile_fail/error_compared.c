/* SPDX-License-Identifier: Apache-2.0 */
/* An error is asked with failed(), not compared. */
/* EXPECT: invalid operands to binary */
#include "base/bytes.h"

bool empty(const struct cur *c);

bool empty(const struct cur *c)
{
#ifdef MISUSE
	return cur_done(c) == OK;
#else
	return !failed(cur_done(c));
#endif
}
