/* SPDX-License-Identifier: Apache-2.0 */
/* The size of an array is not a number from outside. */
/* EXPECT: forbids variable length array|variable length array used|ISO C90 forbids */
#include <string.h>

#include "base/bytes.h"

err_t copy(struct cur *c, size_t n, uint8_t *ret_first);

err_t copy(struct cur *c, size_t n, uint8_t *ret_first)
{
#ifdef MISUSE
	uint8_t box[n];
#else
	uint8_t box[16];

	if (n > sizeof box)
		return FAIL(ERR_SIZE);
#endif
	TRY(cur_bytes(c, box, n));
	*ret_first = box[0];
	return OK;
}
