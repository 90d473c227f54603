/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for interrupts. */
#ifndef TGUEST_TIMER_H
#define TGUEST_TIMER_H

#include <stdint.h>

/* Halts until a vector has come `more` times more to this CPU. */
void vector_wait(unsigned vector, uint64_t more);
/* TSC cycles in a millisecond of this CPU's APIC timer, which stands still after that. */
uint64_t timer_tsc_per_ms(void);

#endif
