/* SPDX-License-Identifier: Apache-2.0 */
/* An owned descriptor is dropped, not closed behind its owner's back. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "base/own.h"

void done(fd_t fd);

void done(fd_t fd)
{
#ifdef MISUSE
	(void)close(fd);
#else
	fd_drop(&fd);
#endif
}
