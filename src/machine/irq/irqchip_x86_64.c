/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/irq/irqchip_x86_64.h"

#include <linux/kvm.h>
#include <string.h>
#include <time.h>

#include "plan/map_x86_64.h"

err_t irqchip_create(int vm, struct diag *d)
{
	uint64_t identity = MAP_IDENTITY;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	TRY(kvm_call(vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)MAP_TSS, "KVM_SET_TSS_ADDR", d, NULL));
	TRY(kvm_call(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, "KVM_SET_IDENTITY_MAP_ADDR", d, NULL));
	TRY(kvm_call(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP", d, NULL));
	return kvm_call(vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2", d, NULL);
}

#define PIC_FIELDS(X) \
	X(last_irr) X(irr) X(imr) X(isr) X(priority_add) X(irq_base) X(read_reg_select) X(poll) \
	X(special_mask) X(init_state) X(auto_eoi) X(rotate_on_auto_eoi) \
	X(special_fully_nested_mode) X(init4) X(elcr) X(elcr_mask)

#define PIT_FIELDS(X) \
	X(count) X(latched_count) X(count_latched) X(status_latched) X(status) X(read_state) \
	X(write_state) X(write_latch) X(rw_mode) X(mode) X(bcd) X(gate) X(count_load_time)

static err_t get_chip(int vm, uint32_t id, struct kvm_irqchip *chip, struct diag *d)
{
	memset(chip, 0, sizeof *chip);
	chip->chip_id = id;
	return kvm_call(vm, KVM_GET_IRQCHIP, chip, "KVM_GET_IRQCHIP", d, NULL);
}

static err_t save_pic(int vm, uint32_t id, struct x86_pic *to, struct diag *d)
{
	struct kvm_irqchip chip;

	TRY(get_chip(vm, id, &chip, d));
#define X(f) to->f = chip.chip.pic.f;
	PIC_FIELDS(X)
#undef X
	return OK;
}

static err_t load_pic(int vm, uint32_t id, const struct x86_pic *from, struct diag *d)
{
	struct kvm_irqchip chip = { .chip_id = id };

#define X(f) chip.chip.pic.f = from->f;
	PIC_FIELDS(X)
#undef X
	return kvm_call(vm, KVM_SET_IRQCHIP, &chip, "KVM_SET_IRQCHIP (PIC)", d, NULL);
}

static_assert(KVM_IOAPIC_NUM_PINS == X86_IOAPIC_PINS, "the format has KVM's pins");

static err_t save_ioapic(int vm, struct x86_ioapic *to, struct diag *d)
{
	struct kvm_irqchip chip;

	TRY(get_chip(vm, KVM_IRQCHIP_IOAPIC, &chip, d));
	to->base_address = chip.chip.ioapic.base_address;
	to->ioregsel = chip.chip.ioapic.ioregsel;
	to->id = chip.chip.ioapic.id;
	to->irr = chip.chip.ioapic.irr;
	for (int i = 0; i < X86_IOAPIC_PINS; i++)
		to->redirection[i] = chip.chip.ioapic.redirtbl[i].bits;
	return OK;
}

static err_t load_ioapic(int vm, const struct x86_ioapic *from, struct diag *d)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	chip.chip.ioapic.base_address = from->base_address;
	chip.chip.ioapic.ioregsel = from->ioregsel;
	chip.chip.ioapic.id = from->id;
	chip.chip.ioapic.irr = from->irr;
	for (int i = 0; i < X86_IOAPIC_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = from->redirection[i];
	return kvm_call(vm, KVM_SET_IRQCHIP, &chip, "KVM_SET_IRQCHIP (IOAPIC)", d, NULL);
}

static err_t save_pit(int vm, struct irqchip_x86_64 *to, struct diag *d)
{
	struct kvm_pit_state2 pit;

	TRY(kvm_call(vm, KVM_GET_PIT2, &pit, "KVM_GET_PIT2", d, NULL));
	to->pit_flags = pit.flags;
	for (int i = 0; i < 3; i++) {
#define X(f) to->pit[i].f = pit.channels[i].f;
		PIT_FIELDS(X)
#undef X
	}
	return OK;
}

static err_t load_pit(int vm, const struct irqchip_x86_64 *from, struct diag *d)
{
	struct kvm_pit_state2 pit = { .flags = from->pit_flags };

	for (int i = 0; i < 3; i++) {
#define X(f) pit.channels[i].f = from->pit[i].f;
		PIT_FIELDS(X)
#undef X
	}
	return kvm_call(vm, KVM_SET_PIT2, &pit, "KVM_SET_PIT2", d, NULL);
}

/* syscalls(control): clock_gettime? (where the vDSO has no clock: a TSC that cannot be trusted) */
static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static err_t save_clock(int vm, struct clock_x86_64 *to, struct diag *d)
{
	struct kvm_clock_data clock;

	TRY(kvm_call(vm, KVM_GET_CLOCK, &clock, "KVM_GET_CLOCK", d, NULL));
	to->kvmclock_ns = clock.clock;
	to->realtime_ns = now_ns(CLOCK_REALTIME);
	to->host_ns = now_ns(CLOCK_MONOTONIC);
	return OK;
}

/* syscalls(control): ioctl=KVM_GET_PIT2 ioctl=KVM_GET_CLOCK ioctl=KVM_GET_IRQCHIP */
err_t irqchip_save(int vm, struct quiesced q, struct diag *d, struct irqchip_x86_64 *ret_chip,
		   struct clock_x86_64 *ret_clock)
{
	(void)q;
	TRY(save_pit(vm, ret_chip, d));
	TRY(save_clock(vm, ret_clock, d));
	TRY(save_pic(vm, KVM_IRQCHIP_PIC_MASTER, &ret_chip->pic[0], d));
	TRY(save_pic(vm, KVM_IRQCHIP_PIC_SLAVE, &ret_chip->pic[1], d));
	return save_ioapic(vm, &ret_chip->ioapic, d);
}

/* syscalls(control): ioctl=KVM_SET_PIT2 ioctl=KVM_SET_IRQCHIP */
err_t irqchip_load(int vm, const struct irqchip_x86_64 *s, struct diag *d)
{
	TRY(load_pit(vm, s, d));
	TRY(load_pic(vm, KVM_IRQCHIP_PIC_MASTER, &s->pic[0], d));
	TRY(load_pic(vm, KVM_IRQCHIP_PIC_SLAVE, &s->pic[1], d));
	return load_ioapic(vm, &s->ioapic, d);
}

/* syscalls(control): ioctl=KVM_SET_CLOCK */
err_t clock_load(int vm, const struct clock_x86_64 *s, uint64_t later_ns, struct diag *d)
{
	/* No flags: KVM_CLOCK_REALTIME would add the time spent frozen. */
	struct kvm_clock_data clock = { .clock = s->kvmclock_ns + later_ns };

	return kvm_call(vm, KVM_SET_CLOCK, &clock, "KVM_SET_CLOCK", d, NULL);
}
