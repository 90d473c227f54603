/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt controllers at their fixed addresses: 8259s masked, local APIC in
 * xAPIC mode at 0xFEE00000, I/O APIC at 0xFEC00000.
 */
#ifndef TGUEST_APIC_H
#define TGUEST_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define LAPIC_ID 0x020
#define LAPIC_EOI 0x0b0
#define LAPIC_SVR 0x0f0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LAPIC_LVT_MASKED (1u << 16)

#define ICR_INIT 0x4500
#define ICR_STARTUP 0x4600
#define ICR_FIXED 0x4000
#define ICR_TO_SELF (1u << 18)
#define ICR_TO_OTHERS (3u << 18)

uint32_t lapic_read(uint32_t reg);
void lapic_write(uint32_t reg, uint32_t v);
void lapic_eoi(void);
/* Enables the local APIC of this CPU with both local pins masked. */
void lapic_start(void);
/* command: ICR_ bits and vector; apic_id is ignored where it holds a shorthand. */
void lapic_send(uint32_t apic_id, uint32_t command);

void pic_mask(void);

#define IOAPIC_PINS 24
/* Edge, active high, fixed, to the boot CPU. */
void ioapic_route(unsigned gsi, unsigned vector);
void ioapic_mask(unsigned gsi);

#endif
