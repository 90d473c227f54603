/* SPDX-License-Identifier: Apache-2.0 */
/* What only x86-64 exits with: port I/O. */
#pragma once

#include <stdint.h>

#define EXIT_KINDS_ARCH(X) \
	X(PORT_IN) \
	X(PORT_OUT)

/* `count` accesses of the exit's `len` bytes each, one after another in its data (INS and OUTS). */
struct exit_arch {
	uint16_t port;
	uint32_t count;
};
