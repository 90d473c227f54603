/* SPDX-License-Identifier: Apache-2.0 */
/* A length is not a guest address. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/ram/gmem.h"

bool holds(const struct gmem *m, gpa_t at, bytes_t n);

bool holds(const struct gmem *m, gpa_t at, bytes_t n)
{
#ifdef MISUSE
	return gmem_holds(m, n, n) && at.v != 0;
#else
	return gmem_holds(m, at, n);
#endif
}
