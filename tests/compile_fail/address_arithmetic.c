/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses are not added without a look at the carry. */
/* EXPECT: invalid operands to binary */
#include "base/units.h"

gpa_t next(gpa_t at);

gpa_t next(gpa_t at)
{
#ifdef MISUSE
	at = at + 4096;
#else
	gpa_t end;

	if (gpa_end(at, BYTES(4096), &end))
		at = end;
#endif
	return at;
}
