/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that count interrupts: sent by a CPU, by a message, or by a pin. */
#include "apic.h"
#include "commands.h"
#include "cpu.h"
#include "smp.h"
#include "text.h"
#include "timer.h"
#include "trap.h"

/* Returns once each has arrived. */
const char *cmd_ipi(struct args *a, struct reply *r)
{
	uint32_t before = cpu_this()->irqs[VECTOR_IPI];
	unsigned others = 0;

	(void)a;
	lapic_send(0, ICR_FIXED | ICR_TO_SELF | VECTOR_IPI);
	while (cpu_this()->irqs[VECTOR_IPI] == before)
		cpu_interrupts_window();
	for (unsigned i = 0; i < cpu_count(); i++) {
		const struct cpu *cpu = cpu_at(i);

		if (cpu == cpu_this() || !cpu->online)
			continue;
		before = cpu->irqs[VECTOR_IPI];
		lapic_send(cpu->apic_id, ICR_FIXED | VECTOR_IPI);
		/* The other may be waiting for one of ours, so let it in. */
		while (cpu->irqs[VECTOR_IPI] == before)
			cpu_interrupts_window();
		others++;
	}
	reply_dec(r, "self", 1);
	reply_dec(r, "others", others);
	return NULL;
}

static const char *vector_report(struct args *a, struct reply *r, unsigned vector)
{
	const char *what = args_word(a);
	uint64_t n;

	if (what != NULL) {
		if (!text_equal(what, "wait") || !args_number(a, &n))
			return USAGE;
		vector_wait(vector, n);
	}
	cpu_interrupts_window();
	reply_dec(r, "vector", vector);
	reply_dec(r, "count", cpu_this()->irqs[vector]);
	return NULL;
}

const char *cmd_irq(struct args *a, struct reply *r)
{
	uint64_t vector;

	if (!args_number(a, &vector) || vector < 32 || vector > 255)
		return USAGE;
	return vector_report(a, r, (unsigned)vector);
}

const char *cmd_gsi(struct args *a, struct reply *r)
{
	const char *what;
	uint64_t gsi;

	if (!args_number(a, &gsi) || gsi >= IOAPIC_PINS)
		return USAGE;
	what = args_word(a);
	if (what != NULL && text_equal(what, "arm"))
		ioapic_route((unsigned)gsi, VECTOR_GSI((unsigned)gsi));
	else if (what != NULL && text_equal(what, "mask"))
		ioapic_mask((unsigned)gsi);
	else if (what != NULL)
		return USAGE;
	return vector_report(a, r, VECTOR_GSI((unsigned)gsi));
}
