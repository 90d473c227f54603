/* SPDX-License-Identifier: Apache-2.0 */
/* Processor and interrupt state in words. The local APIC's page is told register by register
 * (Intel SDM volume 3, table 11-1) and in full. */
#include "edge/lib/inspect.h"

#define NUMBER(field) put_number(j, #field, (int64_t)v->field)
#define HEX(field) put_hex(j, #field, v->field)
#define SET(key, value) ((void)json_object_set_new(j, (key), (value)))

static json_t *regs(const struct x86_regs *v)
{
	json_t *j = json_object();

	HEX(rax); HEX(rbx); HEX(rcx); HEX(rdx); HEX(rsi); HEX(rdi); HEX(rsp); HEX(rbp);
	HEX(r8); HEX(r9); HEX(r10); HEX(r11); HEX(r12); HEX(r13); HEX(r14); HEX(r15);
	HEX(rip); HEX(rflags);
	return j;
}

static json_t *segment(const struct x86_segment *v)
{
	json_t *j = json_object();

	HEX(base);
	NUMBER(limit); NUMBER(selector); NUMBER(type); NUMBER(present); NUMBER(dpl);
	NUMBER(db); NUMBER(s); NUMBER(l); NUMBER(g); NUMBER(avl); NUMBER(unusable);
	return j;
}

static json_t *dtable(const struct x86_dtable *v)
{
	json_t *j = json_object();

	HEX(base);
	NUMBER(limit);
	return j;
}

static json_t *hex_list(const uint64_t *values, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, hex_json(values[i]));
	return list;
}

static json_t *sregs(const struct x86_sregs *v)
{
	json_t *j = json_object();

	SET("cs", segment(&v->cs)); SET("ds", segment(&v->ds)); SET("es", segment(&v->es));
	SET("fs", segment(&v->fs)); SET("gs", segment(&v->gs)); SET("ss", segment(&v->ss));
	SET("tr", segment(&v->tr)); SET("ldt", segment(&v->ldt));
	SET("gdt", dtable(&v->gdt)); SET("idt", dtable(&v->idt));
	HEX(cr0); HEX(cr2); HEX(cr3); HEX(cr4); NUMBER(cr8); HEX(efer); HEX(apic_base);
	SET("interrupt_bitmap", hex_list(v->interrupt_bitmap, 4));
	return j;
}

static json_t *debugregs(const struct x86_debugregs *v)
{
	json_t *j = json_object();

	SET("db", hex_list(v->db, 4));
	NUMBER(dr6); NUMBER(dr7); NUMBER(flags);
	return j;
}

static json_t *events(const struct x86_events *v)
{
	json_t *j = json_object();

	NUMBER(exception_injected); NUMBER(exception_nr); NUMBER(exception_has_error_code);
	NUMBER(exception_pending); NUMBER(exception_error_code);
	NUMBER(interrupt_injected); NUMBER(interrupt_nr); NUMBER(interrupt_soft);
	NUMBER(interrupt_shadow);
	NUMBER(nmi_injected); NUMBER(nmi_pending); NUMBER(nmi_masked);
	NUMBER(triple_fault_pending); NUMBER(sipi_vector); NUMBER(flags);
	NUMBER(smi_smm); NUMBER(smi_pending); NUMBER(smi_smm_inside_nmi); NUMBER(smi_latched_init);
	NUMBER(exception_has_payload);
	HEX(exception_payload);
	return j;
}

static uint32_t lapic_word(const uint8_t *page, unsigned at)
{
	return page[at] | (uint32_t)page[at + 1] << 8 | (uint32_t)page[at + 2] << 16 |
	       (uint32_t)page[at + 3] << 24;
}

/* 256 bits in eight registers, 16 bytes apart: the vectors that are set. */
static json_t *lapic_vectors(const uint8_t *page, unsigned at)
{
	json_t *list = json_array();

	for (unsigned n = 0; n < 256; n++)
		if ((lapic_word(page, at + n / 32 * 16) >> n % 32 & 1) != 0)
			(void)json_array_append_new(list, json_integer(n));
	return list;
}

json_t *inspect_lapic(const uint8_t page[X86_LAPIC_SIZE])
{
	static const struct { const char *name; unsigned at; } words[] = {
		{ "id", 0x20 }, { "version", 0x30 }, { "tpr", 0x80 }, { "apr", 0x90 },
		{ "ppr", 0xA0 }, { "ldr", 0xD0 }, { "dfr", 0xE0 }, { "svr", 0xF0 },
		{ "esr", 0x280 }, { "lvt_cmci", 0x2F0 }, { "icr_low", 0x300 },
		{ "icr_high", 0x310 }, { "lvt_timer", 0x320 }, { "lvt_thermal", 0x330 },
		{ "lvt_perf", 0x340 }, { "lvt_lint0", 0x350 }, { "lvt_lint1", 0x360 },
		{ "lvt_error", 0x370 }, { "timer_initial", 0x380 }, { "timer_current", 0x390 },
		{ "timer_divide", 0x3E0 },
	};
	json_t *j = json_object();

	for (size_t i = 0; i < countof(words); i++)
		put_number(j, words[i].name, lapic_word(page, words[i].at));
	SET("isr", lapic_vectors(page, 0x100));
	SET("tmr", lapic_vectors(page, 0x180));
	SET("irr", lapic_vectors(page, 0x200));
	put_bytes(j, "page", page, X86_LAPIC_SIZE);
	return j;
}

static json_t *indexed(uint32_t index, uint64_t value)
{
	json_t *j = json_object();

	put_number(j, "index", index);
	put_hex(j, "value", value);
	return j;
}

static json_t *cpuid(const struct x86_cpuid_entry *v)
{
	json_t *j = json_object();

	NUMBER(function); NUMBER(index); NUMBER(flags);
	NUMBER(eax); NUMBER(ebx); NUMBER(ecx); NUMBER(edx);
	return j;
}

static void vcpu_lists(json_t *j, const struct vcpu_x86_64 *v)
{
	json_t *xcrs = json_array(), *leaves = json_array(), *msrs = json_array();

	for (uint32_t i = 0; i < v->n_xcrs; i++)
		(void)json_array_append_new(xcrs, indexed(v->xcrs[i].index, v->xcrs[i].value));
	for (uint32_t i = 0; i < v->n_cpuid; i++)
		(void)json_array_append_new(leaves, cpuid(&v->cpuid[i]));
	for (uint32_t i = 0; i < v->n_msrs; i++)
		(void)json_array_append_new(msrs, indexed(v->msrs[i].index, v->msrs[i].value));
	SET("xcrs", xcrs);
	SET("cpuid", leaves);
	SET("msrs", msrs);
}

json_t *inspect_vcpu(const struct vcpu_x86_64 *v)
{
	json_t *j = json_object();

	put_number(j, "id", v->id.v);
	NUMBER(mp_state); NUMBER(tsc_khz);
	HEX(guest_tsc);
	SET("regs", regs(&v->regs));
	SET("sregs", sregs(&v->sregs));
	SET("debugregs", debugregs(&v->debugregs));
	SET("events", events(&v->events));
	SET("lapic", inspect_lapic(v->lapic));
	vcpu_lists(j, v);
	put_bytes(j, "xsave", v->xsave, v->xsave_len);
	return j;
}

static json_t *pic(const struct x86_pic *v)
{
	json_t *j = json_object();

	NUMBER(last_irr); NUMBER(irr); NUMBER(imr); NUMBER(isr); NUMBER(priority_add);
	NUMBER(irq_base); NUMBER(read_reg_select); NUMBER(poll); NUMBER(special_mask);
	NUMBER(init_state); NUMBER(auto_eoi); NUMBER(rotate_on_auto_eoi);
	NUMBER(special_fully_nested_mode); NUMBER(init4); NUMBER(elcr); NUMBER(elcr_mask);
	return j;
}

static json_t *ioapic(const struct x86_ioapic *v)
{
	json_t *j = json_object();

	HEX(base_address);
	NUMBER(ioregsel); NUMBER(id); NUMBER(irr);
	SET("redirection", hex_list(v->redirection, X86_IOAPIC_PINS));
	return j;
}

static json_t *pit_channel(const struct x86_pit_channel *v)
{
	json_t *j = json_object();

	NUMBER(count); NUMBER(latched_count); NUMBER(count_latched); NUMBER(status_latched);
	NUMBER(status); NUMBER(read_state); NUMBER(write_state); NUMBER(write_latch);
	NUMBER(rw_mode); NUMBER(mode); NUMBER(bcd); NUMBER(gate); NUMBER(count_load_time);
	return j;
}

json_t *inspect_irqchip(const struct irqchip_x86_64 *v)
{
	json_t *j = json_object();

	SET("pic", json_pack("[o, o]", pic(&v->pic[0]), pic(&v->pic[1])));
	SET("ioapic", ioapic(&v->ioapic));
	SET("pit", json_pack("[o, o, o]", pit_channel(&v->pit[0]), pit_channel(&v->pit[1]),
			     pit_channel(&v->pit[2])));
	NUMBER(pit_flags);
	return j;
}
