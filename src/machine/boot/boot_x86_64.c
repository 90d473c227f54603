/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/boot/boot_x86_64.h"

#include <string.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "machine/boot/boot_file.h"
#include "machine/boot/entry_x86_64.h"
#include "machine/boot/kernel_x86_64.h"
#include "plan/acpi.h"
#include "plan/e820.h"
#include "plan/map_x86_64.h"
#include "plan/reset_vector.h"
#include "wire/pvh.h"

static_assert(PVH_INFO_MAX <= MAP_ZERO_PAGE - MAP_PVH_INFO, "hvm_start_info has room");
static_assert(BOOT_PARAMS_SIZE <= MAP_BOOT_STACK - MAP_ZERO_PAGE, "so has the zero page");
static_assert((int)E820_MAX <= (int)BOOT_MAP_MAX, "the memory map has room in both");

static err_t acpi_write(const struct geometry *g, const struct gmem *ram)
{
	owned_heap uint8_t *blob = malloc(MAP_ACPI_LEN);
	struct out o;

	if (blob == NULL)
		return FAIL(ERR_NOMEM);
	o = out_of(blob, MAP_ACPI_LEN);
	TRY(acpi_plan(g, &o));
	return gmem_copy_out(ram, GPA(MAP_ACPI), blob, o.len);
}

static err_t reset_vector_write(const struct gmem *ram)
{
	uint8_t code[RESET_VECTOR_LEN];
	struct out o = out_of(code, sizeof code);

	reset_vector_plan(&o);
	TRY(out_done(&o));
	return gmem_copy_out(ram, GPA(MAP_RESET_VECTOR), code, o.len);
}

static err_t cmdline_write(const struct gmem *ram, const char *cmdline, uint32_t max,
			   struct diag *d)
{
	size_t n = strlen(cmdline);

	if (n > max || n >= MAP_LOW_END - MAP_CMDLINE)
		return diag_fail(d, FAIL(ERR_CONFIG),
				 "takes a command line of at most %u bytes, this one has %zu", max,
				 n);
	return gmem_copy_out(ram, GPA(MAP_CMDLINE), cmdline, n + 1);
}

/* As high as the kernel can use it, so that it is out of the way of what the kernel unpacks or
 * allocates first. */
static err_t initrd_load(const struct boot_file *f, const struct gmem *ram, const struct kernel *k,
			 struct diag *d, struct boot_info *io)
{
	uint64_t end = ram->regions[0].len.v;
	err_t e;

	if (f->fd < 0)
		return OK;
	if (k->initrd_addr_max < end)
		end = k->initrd_addr_max + 1;
	e = boot_initrd_read(f, ram, k->end, GPA(end), d, &io->initrd, &io->initrd_len);
	if (failed(e))
		diag_prefix(d, f->name);
	return e;
}

static void map_fill(const struct geometry *g, struct boot_info *io)
{
	struct e820_map map = e820_plan(g);

	for (uint32_t i = 0; i < map.n; i++)
		io->rows[io->n_rows++] = (struct boot_map_row){
			map.entries[i].at, map.entries[i].len, (uint32_t)map.entries[i].type };
}

/* What the protocol's own structure says, and the state that goes with it. */
static err_t info_write(const struct gmem *ram, const struct kernel *k, const struct boot_info *v,
			struct boot_entry *ret)
{
	uint8_t page[BOOT_PARAMS_SIZE];
	struct out o = out_of(page, sizeof page);
	uint64_t at = MAP_ZERO_PAGE;

	switch (k->how) {
	case ENTRY_PVH:
		at = MAP_PVH_INFO;
		pvh_info_encode(&o, v, GPA(at));
		TRY(entry_pvh(ram, k->entry, GPA(at), ret));
		break;
	case ENTRY_LINUX64:
		boot_params_encode(&o, v, cur_of(k->setup_header, k->setup_header_len));
		TRY(entry_linux64(ram, k->entry, GPA(at), ret));
		break;
	}
	TRY(out_done(&o));
	return gmem_copy_out(ram, GPA(at), page, o.len);
}

static err_t kernel_load(const struct boot_request *in, const struct gmem *ram, struct diag *d,
			 struct kernel *ret)
{
	err_t e = kernel_place(&in->kernel, in->method, ram, GPA(MAP_KERNEL), d, ret);

	if (!failed(e))
		e = cmdline_write(ram, in->cmdline, ret->cmdline_max, d);
	if (failed(e))
		diag_prefix(d, in->kernel.name);
	return e;
}

err_t boot_load(const struct geometry *g, const struct gmem *ram, const struct boot_request *in,
		struct diag *d, struct boot_entry *ret)
{
	struct boot_info v = { .cmdline = GPA(MAP_CMDLINE), .rsdp = GPA(MAP_ACPI) };
	struct boot_entry entry;
	struct kernel k;

	TRY(kernel_load(in, ram, d, &k));
	TRY(initrd_load(&in->initrd, ram, &k, d, &v));
	map_fill(g, &v);
	TRY(acpi_write(g, ram));
	TRY(reset_vector_write(ram));
	TRY(info_write(ram, &k, &v, &entry));
	entry.is_linux = k.is_linux;
	*ret = entry;
	return OK;
}
