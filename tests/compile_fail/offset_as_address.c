/* SPDX-License-Identifier: Apache-2.0 */
/* A file offset is not a guest address. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "base/units.h"

gpa_t end_of(foff_t offset, gpa_t at, bytes_t n);

gpa_t end_of(foff_t offset, gpa_t at, bytes_t n)
{
	gpa_t end = at;

#ifdef MISUSE
	if (!gpa_end(offset, n, &end))
#else
	(void)offset;
	if (!gpa_end(at, n, &end))
#endif
		return at;
	return end;
}
