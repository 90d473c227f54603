/* SPDX-License-Identifier: Apache-2.0 */
/* A bare number is not a guest address. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "machine/ram/gmem.h"

err_t clear(const struct gmem *m);

err_t clear(const struct gmem *m)
{
#ifdef MISUSE
	return gmem_zero(m, 0x1000, 16);
#else
	return gmem_zero(m, GPA(0x1000), 16);
#endif
}
