/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/reset_vector.h"

#include "plan/map_x86_64.h"

static_assert(MAP_RESET_VECTOR + RESET_VECTOR_LEN == MAP_KERNEL &&
	      MAP_RESET_VECTOR >= MAP_VMGENID + 4096,
	      "it lies in the reserved part below 1 MiB, in a page of its own");

/* 16-bit code. */
void reset_vector_plan(struct out *o)
{
	static const uint8_t code[RESET_VECTOR_LEN] = {
		0xFA,                                               /* cli              */
		0xBA, PORT_SLEEP_RESET & 0xFF, PORT_SLEEP_RESET >> 8, /* mov dx, PORT     */
		0xB0, SLEEP_VALUE_RESET,                            /* mov al, VALUE    */
		0xEE,                                               /* out dx, al       */
		0xF4,                                               /* again: hlt       */
		0xEB, 0xFD,                                         /* jmp again        */
	};

	out_bytes(o, code, sizeof code);
}
