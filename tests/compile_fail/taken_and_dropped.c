/* SPDX-License-Identifier: Apache-2.0 */
/* What was taken out of its owner goes somewhere. */
/* EXPECT: ignoring return value */
#include "base/own.h"

fd_t give(fd_t *fd);

fd_t give(fd_t *fd)
{
#ifdef MISUSE
	fd_take(fd);
	return FD_NONE;
#else
	return fd_take(fd);
#endif
}
