/* SPDX-License-Identifier: Apache-2.0 */
/* A case that runs into the next one says so. */
/* EXPECT: this statement may fall through|unannotated fall-through */
#include "wire/shape.h"

int count(enum dev_kind k);

int count(enum dev_kind k)
{
	int n = 0;

	switch (k) {
	case DEV_BLK:
		n++;
#ifndef MISUSE
		break;
#endif
	case DEV_RNG:
		n += 2;
		break;
	}
	return n;
}
