/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/serial/power_ports.h"

#include "plan/map_x86_64.h"

enum {
	I8042_PULSE_RESET = 0xFE, /* command: pulse output line 0, the processor's reset */
	SLEEP_TYPE_AND_ENABLE = 0x3C, /* SLP_TYPx and SLP_EN; the other bits are reserved */
};

enum power_request power_port_write(uint16_t port, uint8_t value)
{
	switch (port) {
	case PORT_I8042_COMMAND:
		return value == I8042_PULSE_RESET ? POWER_RESET : POWER_NONE;
	case PORT_SLEEP_RESET:
		if (value == SLEEP_VALUE_RESET)
			return POWER_RESET;
		return (value & SLEEP_TYPE_AND_ENABLE) == SLEEP_VALUE_S5 ? POWER_OFF : POWER_NONE;
	default:
		return POWER_NONE;
	}
}

bool power_port_read(uint16_t port, uint8_t *ret_value)
{
	switch (port) {
	case PORT_I8042_DATA:
	case PORT_I8042_COMMAND: /* both buffers empty: ready for a command, nothing to fetch */
	case PORT_SLEEP_RESET:   /* sleep status: never woken, because never asleep */
		*ret_value = 0;
		return true;
	default:
		return false;
	}
}
