/* SPDX-License-Identifier: Apache-2.0 */
/* The in-kernel interrupt chip, timer and clock of an x86-64 machine. */
#pragma once

#include "machine/kvm/kvm.h"
#include "machine/vcpu/quiesced.h"
#include "wire/state_x86_64.h"

/* Reserves KVM's pages in the MMIO hole and creates the PICs, IOAPIC and PIT. Before any vCPU,
 * after RAM. */
must_check err_t irqchip_create(int vm, struct diag *d);

/* The PIT before the clock before the chips, so that an interrupt which one raises is in the
 * next. The devices have been drained by then. */
must_check err_t irqchip_save(int vm, struct quiesced q, struct diag *d,
			      struct irqchip_x86_64 *ret_chip, struct clock_x86_64 *ret_clock);
/* Once the vCPUs exist and before any runs. */
must_check err_t irqchip_load(int vm, const struct irqchip_x86_64 *s, struct diag *d);
/* The guest's clock goes on from where it was saved, and that much later: the time frozen does not
 * pass for it but by the caller's wish. */
must_check err_t clock_load(int vm, const struct clock_x86_64 *s, uint64_t later_ns,
			    struct diag *d);
