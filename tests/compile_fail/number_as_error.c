/* SPDX-License-Identifier: Apache-2.0 */
/* A number is not an error: it says neither what nor why. */
/* EXPECT: incompatible types when returning|from a function with incompatible result type */
#include "base/err.h"

err_t refuse(void);

err_t refuse(void)
{
#ifdef MISUSE
	return -1;
#else
	return FAIL(ERR_RANGE);
#endif
}
