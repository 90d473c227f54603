/* SPDX-License-Identifier: Apache-2.0 */
/* A function that others can call has its prototype in a header. */
/* EXPECT: no previous prototype */
#include "base/err.h"

#ifndef MISUSE
static
#endif
err_t refuse(void)
{
	return FAIL(ERR_RANGE);
}

err_t (*const used)(void) = refuse;
