/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed descriptor does not become an owned one by assignment. */
/* EXPECT: invalid initializer|with an expression of incompatible type */
#include "base/own.h"

bool keep(int borrowed);

bool keep(int borrowed)
{
#ifdef MISUSE
	owned_fd mine = borrowed;
#else
	owned_fd mine = { dup(borrowed) };
#endif
	return fd_is_open(mine);
}
