/* SPDX-License-Identifier: Apache-2.0 */
/* A whole boot prepared in memory, then read the way a kernel reads it: registers, page tables,
 * descriptors, start info, zero page, command line, initrd, ACPI. And files that are no kernels. */
#include <fcntl.h>
#include <unistd.h>

#include "machine/boot/boot_file.h"
#include "machine/boot/boot_x86_64.h"
#include "plan/e820.h"
#include "plan/map_x86_64.h"
#include "unit/machine/boot_ram.h"

static const char cmdline[] = "console=ttyS0 test";

static struct boot_request request(int kernel, int initrd)
{
	return (struct boot_request){ .kernel = { kernel, "KERNEL" }, .initrd = { initrd, "INITRD" },
				      .cmdline = cmdline };
}

static void load(struct boot_ram *r, const struct boot_request *in, struct boot_entry *ret)
{
	struct diag d = DIAG_INIT;

	if (failed(boot_load(r->geometry, &r->gmem, in, &d, ret)))
		fail_msg("%s", d.text);
}

static void refused(struct boot_ram *r, const struct boot_request *in, enum err_code code,
		    const char *begins, const char *what)
{
	struct boot_entry e = { .regs.rip = 77 };
	struct diag d = DIAG_INIT;
	err_t got = boot_load(r->geometry, &r->gmem, in, &d, &e);

	if (got.code != code || strstr(d.text, what) == NULL ||
	    strncmp(d.text, begins, strlen(begins)) != 0)
		fail_msg("%s: %s (expected %s: %s...%s)", err_name(got.code), d.text, err_name(code),
			 begins, what);
	assert_int_equal(e.regs.rip, 77);
}

/* What both protocols share: it must be where every table says it is. */
static void assert_common(const struct boot_ram *r, const struct boot_entry *e)
{
	assert_string_equal(boot_ram_at(r, MAP_CMDLINE), cmdline);
	assert_memory_equal(boot_ram_at(r, MAP_ACPI), "RSD PTR ", 8);
	assert_int_equal(e->regs.rflags, 2); /* interrupts off */
	assert_int_equal(e->sregs.apic_base, 0xfee00900);
	assert_int_equal(e->sregs.idt.limit, 0);
}

/* The memory map as rows of 20 bytes, or of 24. */
static void assert_map(const struct boot_ram *r, uint64_t at, size_t stride, uint64_t n)
{
	struct e820_map map = e820_plan(r->geometry);

	assert_int_equal(n, map.n);
	for (uint32_t i = 0; i < map.n; i++, at += stride) {
		assert_int_equal(boot_ram_get(r, at, 8), map.entries[i].at.v);
		assert_int_equal(boot_ram_get(r, at + 8, 8), map.entries[i].len.v);
		assert_int_equal(boot_ram_get(r, at + 16, 4), map.entries[i].type);
	}
}

/* The descriptor that a selector picks from the GDT, as bits. */
static uint64_t descriptor(const struct boot_ram *r, const struct boot_entry *e, uint16_t selector)
{
	assert_true(selector + 7u <= e->sregs.gdt.limit);
	return boot_ram_get(r, e->sregs.gdt.base + selector, 8);
}

static void by_pvh(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(64));
	struct blob v = vmlinux_make(), initrd = blob_new(10001);
	struct boot_request in;
	struct boot_entry e;
	uint64_t info, module;

	(void)state;
	memset(initrd.bytes, 'i', initrd.len);
	in = request(file_of(v), file_of(initrd));
	load(&r, &in, &e);
	assert_common(&r, &e);
	assert_vmlinux_placed(&r, v);
	/* Xen, docs/misc/pvh.pandoc: protected mode, no paging, flat segments, EBX. */
	assert_int_equal(e.regs.rip, VMLINUX_PVH);
	assert_int_equal(e.sregs.cr0, 0x11);
	assert_int_equal(e.sregs.cr4, 0);
	assert_int_equal(e.sregs.efer, 0);
	assert_int_equal(e.sregs.cs.base, 0);
	assert_int_equal(e.sregs.cs.limit, UINT32_MAX);
	assert_int_equal(e.sregs.cs.db, 1);
	assert_int_equal(e.sregs.cs.l, 0);
	assert_int_equal(e.sregs.cs.type & 0xa, 0xa);
	assert_int_equal(e.sregs.ss.type & 0xa, 0x2);
	assert_int_equal(e.sregs.tr.limit, 0x67);
	assert_int_equal(descriptor(&r, &e, e.sregs.cs.selector), UINT64_C(0x00cf9b000000ffff));
	assert_int_equal(descriptor(&r, &e, e.sregs.ds.selector), UINT64_C(0x00cf93000000ffff));
	assert_int_equal(descriptor(&r, &e, e.sregs.tr.selector), UINT64_C(0x00008b0000000067));

	info = e.regs.rbx;
	assert_int_equal(boot_ram_get(&r, info, 4), 0x336ec578);
	assert_int_equal(boot_ram_get(&r, info + 4, 4), 1);
	assert_int_equal(boot_ram_get(&r, info + 8, 4), 0);
	assert_int_equal(boot_ram_get(&r, info + 12, 4), 1);
	assert_int_equal(boot_ram_get(&r, info + 24, 8), MAP_CMDLINE);
	assert_int_equal(boot_ram_get(&r, info + 32, 8), MAP_ACPI);
	assert_map(&r, boot_ram_get(&r, info + 40, 8), 24, boot_ram_get(&r, info + 48, 4));
	module = boot_ram_get(&r, info + 16, 8);
	/* As high as it goes, on a page. */
	assert_int_equal(boot_ram_get(&r, module, 8), MIB(64) - 3 * 4096);
	assert_int_equal(boot_ram_get(&r, module + 8, 8), initrd.len);
	assert_memory_equal(boot_ram_at(&r, MIB(64) - 3 * 4096), initrd.bytes, initrd.len);
	(void)close(in.kernel.fd);
	(void)close(in.initrd.fd);
	free(v.bytes);
	free(initrd.bytes);
	boot_ram_free(&r);
}

static void pvh_without_initrd(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob v = vmlinux_make();
	struct boot_request in = request(file_of(v), -1);
	struct boot_entry e;

	(void)state;
	load(&r, &in, &e);
	assert_int_equal(boot_ram_get(&r, e.regs.rbx + 12, 4), 0);
	assert_int_equal(boot_ram_get(&r, e.regs.rbx + 16, 8), 0);
	assert_map(&r, boot_ram_get(&r, e.regs.rbx + 40, 8), 24,
		   boot_ram_get(&r, e.regs.rbx + 48, 4));
	(void)close(in.kernel.fd);
	free(v.bytes);
	boot_ram_free(&r);
}

/* Where a linear address leads, by the tables that CR3 points to. */
static uint64_t walk(const struct boot_ram *r, uint64_t cr3, uint64_t at)
{
	uint64_t table = cr3;

	for (unsigned level = 4; level > 2; level--) {
		uint64_t entry = boot_ram_get(r, table + (at >> (3 + 9 * level) & 511) * 8, 8);

		assert_int_equal(entry & 0xfff, 3);
		table = entry & ~UINT64_C(0xfff);
	}
	table = boot_ram_get(r, table + (at >> 21 & 511) * 8, 8);
	assert_int_equal(table & 0x1fffff, 0x83);
	return (table & ~UINT64_C(0x1fffff)) + at % MIB(2);
}

static void by_linux64(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(64));
	struct blob z = bzimage_make(PACK_LZ4), initrd = blob_new(4096);
	struct boot_request in = request(file_of(z), file_of(initrd));
	struct boot_entry e;
	uint64_t page;

	(void)state;
	in.method = BOOT_LINUX64;
	load(&r, &in, &e);
	assert_common(&r, &e);
	/* Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol". */
	assert_int_equal(e.regs.rip, VMLINUX_ENTRY);
	assert_int_equal(e.sregs.cr0 & UINT64_C(0x80000001), UINT64_C(0x80000001));
	assert_int_equal(e.sregs.cr4 & 0x20, 0x20);
	assert_int_equal(e.sregs.efer, 0x500);
	assert_int_equal(e.sregs.cs.selector, 0x10);
	assert_int_equal(e.sregs.ds.selector, 0x18);
	assert_int_equal(e.sregs.es.selector, 0x18);
	assert_int_equal(e.sregs.ss.selector, 0x18);
	assert_int_equal(e.sregs.cs.l, 1);
	assert_int_equal(e.sregs.cs.db, 0);
	assert_int_equal(descriptor(&r, &e, 0x10), UINT64_C(0x00af9b000000ffff));
	assert_int_equal(descriptor(&r, &e, 0x18), UINT64_C(0x00cf93000000ffff));
	for (uint64_t at = 0x123; at < GIB(4); at += MIB(2))
		assert_int_equal(walk(&r, e.sregs.cr3, at), at);

	page = e.regs.rsi;
	assert_int_equal(page, MAP_ZERO_PAGE);
	/* The header is the kernel's own, but for what a loader fills in. */
	assert_memory_equal(boot_ram_at(&r, page + 0x1f1), z.bytes + 0x1f1, 0x210 - 0x1f1);
	assert_memory_equal(boot_ram_at(&r, page + 0x22c), z.bytes + 0x22c, 0x26c - 0x22c);
	assert_int_equal(boot_ram_get(&r, page + 0x210, 1), 0xff);
	assert_int_equal(boot_ram_get(&r, page + 0x211, 1), 1);
	assert_int_equal(boot_ram_get(&r, page + 0x218, 4), MIB(64) - 4096);
	assert_int_equal(boot_ram_get(&r, page + 0x21c, 4), 4096);
	assert_int_equal(boot_ram_get(&r, page + 0x228, 4), MAP_CMDLINE);
	assert_int_equal(boot_ram_get(&r, page + 0x070, 8), MAP_ACPI);
	assert_int_equal(boot_ram_get(&r, page + 0x1ef, 1), 0); /* the sentinel */
	assert_int_equal(boot_ram_get(&r, page + 0x0c0, 8), 0);
	assert_map(&r, page + 0x2d0, 20, boot_ram_get(&r, page + 0x1e8, 1));
	(void)close(in.kernel.fd);
	(void)close(in.initrd.fd);
	free(z.bytes);
	free(initrd.bytes);
	boot_ram_free(&r);
}

/* A vmlinux without a setup header gets one that Linux takes. */
static void header_of_our_own(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob v = vmlinux_make();
	struct boot_request in = request(file_of(v), -1);
	struct boot_entry e;

	(void)state;
	in.method = BOOT_LINUX64;
	load(&r, &in, &e);
	assert_int_equal(boot_ram_get(&r, e.regs.rsi + 0x1fe, 2), 0xaa55);
	assert_memory_equal(boot_ram_at(&r, e.regs.rsi + 0x202), "HdrS", 4);
	assert_true(boot_ram_get(&r, e.regs.rsi + 0x206, 2) >= 0x20c);
	assert_int_equal(boot_ram_get(&r, e.regs.rsi + 0x210, 1), 0xff);
	assert_int_equal(boot_ram_get(&r, e.regs.rsi + 0x218, 8), 0);
	(void)close(in.kernel.fd);
	free(v.bytes);
	boot_ram_free(&r);
}

/* RAM on both sides of the hole: an initrd stays below what the kernel can use, and the map tells
 * both parts. */
static void five_gib(void **state)
{
	struct boot_ram r = boot_ram_new(GIB(5));
	struct blob z = bzimage_make(PACK_XZ), initrd = blob_new(1);
	struct boot_request in = request(file_of(z), file_of(initrd));
	struct boot_entry e;

	(void)state;
	load(&r, &in, &e);
	assert_int_equal(boot_ram_get(&r, boot_ram_get(&r, e.regs.rbx + 16, 8), 8),
			 GIB(2) - 4096);
	assert_map(&r, boot_ram_get(&r, e.regs.rbx + 40, 8), 24,
		   boot_ram_get(&r, e.regs.rbx + 48, 4));
	put(z, 0x22c, 4, UINT32_MAX);
	(void)close(in.kernel.fd);
	in.kernel.fd = file_of(z);
	load(&r, &in, &e);
	assert_int_equal(boot_ram_get(&r, boot_ram_get(&r, e.regs.rbx + 16, 8), 8),
			 GIB(3) - 4096);
	(void)close(in.kernel.fd);
	(void)close(in.initrd.fd);
	free(z.bytes);
	free(initrd.bytes);
	boot_ram_free(&r);
}

static void initrd_room(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	uint64_t end = VMLINUX_DATA_GPA + VMLINUX_DATA_MEM;
	struct blob v = vmlinux_make(), initrd = blob_new(MIB(16) - end);
	struct boot_request in = request(file_of(v), file_of(initrd));
	struct boot_entry e;

	(void)state;
	load(&r, &in, &e);
	assert_int_equal(ftruncate(in.initrd.fd, (off_t)(MIB(16) - end + 1)), 0);
	refused(&r, &in, ERR_SIZE, "INITRD: ", "not as much room");
	assert_int_equal(ftruncate(in.initrd.fd, (off_t)1 << 40), 0);
	refused(&r, &in, ERR_SIZE, "INITRD: ", "not as much room");
	assert_int_equal(ftruncate(in.initrd.fd, 0), 0);
	refused(&r, &in, ERR_TRUNCATED, "INITRD: ", "is empty");
	(void)close(in.initrd.fd);
	in.initrd.fd = open("/", O_RDONLY | O_CLOEXEC);
	refused(&r, &in, ERR_FILE, "INITRD: ", "is a directory");
	(void)close(in.initrd.fd);
	(void)close(in.kernel.fd);
	free(v.bytes);
	free(initrd.bytes);
	boot_ram_free(&r);
}

static void files_refused(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob v = vmlinux_make();
	int kernel = file_of(v), empty = memfd_create("empty", MFD_CLOEXEC);
	int huge = memfd_create("huge", MFD_CLOEXEC);
	int pipes[2], folder = open("/", O_RDONLY | O_CLOEXEC);
	struct boot_request in = request(empty, -1);

	(void)state;
	refused(&r, &in, ERR_TRUNCATED, "KERNEL: ", "is empty");
	in.kernel.fd = folder;
	refused(&r, &in, ERR_FILE, "KERNEL: ", "is a directory");
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	in.kernel.fd = pipes[0];
	refused(&r, &in, ERR_FILE, "KERNEL: ", "is not a regular file");
	assert_int_equal(ftruncate(huge, (off_t)BOOT_KERNEL_MAX + 1), 0);
	in.kernel.fd = huge;
	refused(&r, &in, ERR_FILE, "KERNEL: ", "expected at most 1073741824");
	in.kernel.fd = kernel;
	in.method = BOOT_BZIMAGE;
	refused(&r, &in, ERR_KERNEL, "KERNEL: ", "is an ELF kernel");
	(void)close(kernel);
	(void)close(empty);
	(void)close(huge);
	(void)close(folder);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	free(v.bytes);
	boot_ram_free(&r);
}

/* The kernel itself says how long a command line it takes. */
static void cmdline_length(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob z = bzimage_make(PACK_GZIP);
	struct boot_request in;
	struct boot_entry e;

	(void)state;
	put(z, 0x238, 4, sizeof cmdline - 1);
	in = request(file_of(z), -1);
	load(&r, &in, &e);
	assert_common(&r, &e);
	(void)close(in.kernel.fd);
	put(z, 0x238, 4, sizeof cmdline - 2);
	in = request(file_of(z), -1);
	refused(&r, &in, ERR_CONFIG, "KERNEL: ", "command line of at most 17 bytes");
	(void)close(in.kernel.fd);
	free(z.bytes);
	boot_ram_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_pvh), cmocka_unit_test(pvh_without_initrd),
		cmocka_unit_test(by_linux64), cmocka_unit_test(header_of_our_own),
		cmocka_unit_test(five_gib), cmocka_unit_test(initrd_room),
		cmocka_unit_test(files_refused), cmocka_unit_test(cmdline_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
