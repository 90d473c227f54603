/* SPDX-License-Identifier: Apache-2.0 */
/* A default does not stand for the kinds that were not thought of. */
/* EXPECT: enumeration value .DEV_RNG. not (explicitly )?handled */
#include "wire/shape.h"

int count(enum dev_kind k);

int count(enum dev_kind k)
{
	switch (k) {
	case DEV_BLK:
		return 1;
#ifndef MISUSE
	case DEV_RNG:
		return 2;
#endif
	default:
		return 0;
	}
}
