/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI registers are where hardware-reduced monitors for Linux put them: one
 * byte at port 0x600 (ACPI 4.8.3.6, 4.8.3.7; SLP_TYP 5 and SLP_EN for S5).
 */
#include "power.h"

#include "cpu.h"

#define ACPI_PORT 0x600
#define ACPI_RESET 0x01
#define ACPI_SLEEP_S5 (5 << 2 | 1 << 5)
#define I8042_COMMAND 0x64
#define I8042_RESET 0xfe

_Noreturn void power_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

_Noreturn void power_off(void)
{
	port_out8(ACPI_PORT, ACPI_SLEEP_S5);
	power_halt();
}

_Noreturn void power_reset(void)
{
	port_out8(ACPI_PORT, ACPI_RESET);
	power_halt();
}

_Noreturn void power_reset_kbd(void)
{
	port_out8(I8042_COMMAND, I8042_RESET);
	power_halt();
}

_Noreturn void power_triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty;

	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	power_halt();
}
