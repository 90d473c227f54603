/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt controllers: see apic.h. */
#include "apic.h"

#include "cpu.h"
#include "smp.h"
#include "trap.h"

#define LAPIC_BASE 0xfee00000u
#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_SELECT (IOAPIC_BASE + 0x00)
#define IOAPIC_WINDOW (IOAPIC_BASE + 0x10)
#define IOAPIC_ENTRY(pin) (0x10u + 2 * (pin))
#define IOAPIC_MASKED (1u << 16)
#define SVR_ENABLE 0x100

uint32_t lapic_read(uint32_t reg)
{
	return mmio_read32(LAPIC_BASE + reg);
}

void lapic_write(uint32_t reg, uint32_t v)
{
	mmio_write32(LAPIC_BASE + reg, v);
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void lapic_start(void)
{
	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	/* LINT0 would bring in the 8259 with vectors below 32. */
	lapic_write(LAPIC_LVT_LINT0, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LAPIC_LVT_MASKED);
}

void lapic_send(uint32_t apic_id, uint32_t command)
{
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR_LOW, command);
}

void pic_mask(void)
{
	port_out8(0x21, 0xff);
	port_out8(0xa1, 0xff);
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
	mmio_write32(IOAPIC_SELECT, reg);
	mmio_write32(IOAPIC_WINDOW, v);
}

void ioapic_route(unsigned gsi, unsigned vector)
{
	ioapic_write(IOAPIC_ENTRY(gsi) + 1, cpu_boot()->apic_id << 24);
	ioapic_write(IOAPIC_ENTRY(gsi), vector);
}

void ioapic_mask(unsigned gsi)
{
	ioapic_write(IOAPIC_ENTRY(gsi), IOAPIC_MASKED);
}
