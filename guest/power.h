/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to end the guest. */
#ifndef TGUEST_POWER_H
#define TGUEST_POWER_H

_Noreturn void power_off(void);       /* ACPI sleep control register */
_Noreturn void power_reset(void);     /* ACPI reset register */
_Noreturn void power_reset_kbd(void); /* i8042 */
_Noreturn void power_triple_fault(void);
_Noreturn void power_halt(void); /* interrupts off, for ever */

#endif
