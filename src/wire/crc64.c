/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-64/ECMA-182 by libisal, which inverts the start value and the result: both are undone here,
 * so that the sum starts at 0 and is stored as it is. */
#include <isa-l/crc64.h>

#include "wire/sections.h"

uint64_t crc64_more(uint64_t crc, const void *bytes, size_t n)
{
	return ~crc64_ecma_norm(~crc, bytes, n);
}

uint64_t crc64(const void *bytes, size_t n)
{
	return crc64_more(0, bytes, n);
}
