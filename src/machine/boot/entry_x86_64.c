/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/boot/entry_x86_64.h"

#include "base/bytes.h"
#include "plan/map_x86_64.h"

enum {
	/* __BOOT_CS and __BOOT_DS of the boot protocol, then a task. */
	SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18, SELECTOR_TASK = 0x20,
	GDT_ENTRIES = 6, /* a task descriptor takes two in long mode */
	TYPE_CODE = 0xb, TYPE_DATA = 0x3, TYPE_TASK_BUSY = 0xb,
	TASK_LIMIT = 0x67,
	RFLAGS_FIXED = 1 << 1,
};

#define CR0_PE   UINT64_C(0x1)
#define CR0_ET   UINT64_C(0x10)
#define CR0_PG   UINT64_C(0x80000000)
#define CR4_PAE  UINT64_C(0x20)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)
#define APIC_BASE_BOOT_PROCESSOR UINT64_C(0x100)
#define APIC_BASE_ENABLED        UINT64_C(0x800)

#define PAGE         UINT64_C(4096)
#define LARGE_PAGE   MIB(2)
#define TABLE_SPAN   GIB(1)
#define PTE_TABLE    UINT64_C(0x3)  /* present, writable */
#define PTE_LARGE    UINT64_C(0x83) /* and a large page */
enum { IDENTITY_GIBS = 4, TABLE_ENTRIES = 512 };

static_assert(MAP_PAGE_TABLES % PAGE == 0 &&
	      MAP_PAGE_TABLES + (2 + IDENTITY_GIBS) * PAGE <= MAP_CMDLINE,
	      "the page tables end before the command line");
static_assert(MAP_BOOT_GDT + GDT_ENTRIES * 8 <= MAP_PVH_INFO, "the GDT has room");

static struct x86_segment segment(uint16_t selector, uint8_t type)
{
	return (struct x86_segment){
		.selector = selector, .limit = UINT32_MAX, .type = type,
		.present = 1, .s = 1, .g = 1,
	};
}

/* A segment as the processor has it cached, as a descriptor (AMD64 APM volume 2, 4.7). */
static uint64_t descriptor(const struct x86_segment *s)
{
	uint64_t limit = s->g != 0 ? s->limit >> 12 : s->limit;
	uint64_t access = s->type | (unsigned)s->s << 4 | (unsigned)s->dpl << 5 |
			  (unsigned)s->present << 7;
	uint64_t flags = s->avl | (unsigned)s->l << 1 | (unsigned)s->db << 2 |
			 (unsigned)s->g << 3;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | access << 40 |
	       (limit >> 16 & 0xf) << 48 | flags << 52 | (s->base >> 24 & 0xff) << 56;
}

/* Flat segments, interrupts off, no IDT: until the kernel has one of its own, an exception is a
 * triple fault, which ends the machine with that name. */
static err_t flat_state(const struct gmem *ram, bool long_mode, struct boot_entry *ret)
{
	struct x86_segment code = segment(SELECTOR_CODE, TYPE_CODE);
	struct x86_segment data = segment(SELECTOR_DATA, TYPE_DATA);
	struct x86_segment task = { .selector = SELECTOR_TASK, .limit = TASK_LIMIT,
				    .type = TYPE_TASK_BUSY, .present = 1 };
	uint8_t gdt[GDT_ENTRIES * 8];
	struct out o = out_of(gdt, sizeof gdt);

	code.l = long_mode;
	code.db = !long_mode;
	data.db = 1;
	out_zero(&o, SELECTOR_CODE);
	out_u64(&o, descriptor(&code));
	out_u64(&o, descriptor(&data));
	out_u64(&o, descriptor(&task));
	out_u64(&o, 0);
	TRY(out_done(&o));
	TRY(gmem_copy_out(ram, GPA(MAP_BOOT_GDT), gdt, sizeof gdt));
	*ret = (struct boot_entry){
		.regs = { .rflags = RFLAGS_FIXED, .rsp = MAP_BOOT_STACK },
		.sregs = {
			.cs = code, .ds = data, .es = data, .fs = data, .gs = data, .ss = data,
			.tr = task, .ldt = { .unusable = 1 },
			.gdt = { MAP_BOOT_GDT, sizeof gdt - 1 },
			.apic_base = MAP_LAPIC | APIC_BASE_BOOT_PROCESSOR | APIC_BASE_ENABLED,
		},
	};
	return OK;
}

err_t entry_pvh(const struct gmem *ram, uint64_t entry, gpa_t start_info, struct boot_entry *ret)
{
	struct boot_entry e;

	TRY(flat_state(ram, false, &e));
	e.sregs.cr0 = CR0_PE | CR0_ET;
	e.regs.rip = entry;
	e.regs.rbx = start_info.v;
	*ret = e;
	return OK;
}

static err_t table_write(const struct gmem *ram, uint64_t at, uint64_t first, uint64_t step,
			 uint32_t n)
{
	uint8_t table[TABLE_ENTRIES * 8];
	struct out o = out_of(table, sizeof table);

	for (uint32_t i = 0; i < n; i++)
		out_u64(&o, first + i * step);
	out_align(&o, sizeof table);
	TRY(out_done(&o));
	return gmem_copy_out(ram, GPA(at), table, sizeof table);
}

static err_t identity_map(const struct gmem *ram)
{
	uint64_t pdpt = MAP_PAGE_TABLES + PAGE, pd = pdpt + PAGE;

	TRY(table_write(ram, MAP_PAGE_TABLES, pdpt | PTE_TABLE, 0, 1));
	TRY(table_write(ram, pdpt, pd | PTE_TABLE, PAGE, IDENTITY_GIBS));
	for (uint32_t i = 0; i < IDENTITY_GIBS; i++)
		TRY(table_write(ram, pd + i * PAGE, i * TABLE_SPAN | PTE_LARGE, LARGE_PAGE,
				TABLE_ENTRIES));
	return OK;
}

err_t entry_linux64(const struct gmem *ram, uint64_t entry, gpa_t zero_page,
		    struct boot_entry *ret)
{
	struct boot_entry e;

	TRY(flat_state(ram, true, &e));
	TRY(identity_map(ram));
	e.sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	e.sregs.cr3 = MAP_PAGE_TABLES;
	e.sregs.cr4 = CR4_PAE;
	e.sregs.efer = EFER_LME | EFER_LMA;
	e.regs.rip = entry;
	e.regs.rsi = zero_page.v;
	*ret = e;
	return OK;
}
