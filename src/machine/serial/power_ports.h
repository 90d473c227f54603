/* SPDX-License-Identifier: Apache-2.0 */
/* The ports by which a guest ends its machine: the keyboard controller's reset line, and the byte
 * that the FADT names as sleep control, sleep status and reset register (ACPI 6.5, 4.8.3.6,
 * 4.8.3.7). They hold no state. */
#pragma once

#include "base/check.h"

enum power_request {
	POWER_NONE,  /* the guest goes on */
	POWER_OFF,
	POWER_RESET,
};

/* After anything but POWER_NONE the vCPU must not enter the guest again. */
enum power_request power_port_write(uint16_t port, uint8_t value);
/* What a read of the port gives; `*ret_value` is set only when the port is one of these. */
must_check bool power_port_read(uint16_t port, uint8_t *ret_value);
