/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts and exceptions. Every vector from 32 up is counted for the CPU that
 * took it; a handler is optional. An exception ends the guest with one line on
 * the serial port and a triple fault.
 */
#ifndef TGUEST_TRAP_H
#define TGUEST_TRAP_H

#include <stdint.h>

#define VECTOR_TIMER 0x40
#define VECTOR_IPI 0x41
#define VECTOR_GSI(gsi) (0x50 + (gsi)) /* 24 I/O APIC pins */
/* 0x80 to 0xef are left for messages that a test sends. */
#define VECTOR_SPURIOUS 0xff

typedef void (*trap_handler)(unsigned vector);

void trap_handle(unsigned vector, trap_handler handler);

#endif
