/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences for people are checked like printf. */
/* EXPECT: expects argument of type|format specifies type */
#include <inttypes.h>

#include "base/diag.h"

err_t refuse(struct diag *d, uint64_t n);

err_t refuse(struct diag *d, uint64_t n)
{
#ifdef MISUSE
	return diag_fail(d, FAIL(ERR_RANGE), "%s is too much", n);
#else
	return diag_fail(d, FAIL(ERR_RANGE), "%" PRIu64 " is too much", n);
#endif
}
