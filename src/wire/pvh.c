/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pvh.h"

enum {
	MAGIC = 0x336ec578,
	VERSION = 1, /* the first with a memory map */
	INFO_SIZE = 56,
	MODULE_SIZE = 32,
};

void pvh_info_encode(struct out *o, const struct boot_info *v, gpa_t at)
{
	uint32_t modules = v->initrd_len.v != 0 ? 1 : 0;
	uint64_t module_list = at.v + INFO_SIZE;
	uint64_t memory_map = module_list + modules * MODULE_SIZE;

	out_u32(o, MAGIC);
	out_u32(o, VERSION);
	out_u32(o, 0); /* flags */
	out_u32(o, modules);
	out_u64(o, modules != 0 ? module_list : 0);
	out_u64(o, v->cmdline.v);
	out_u64(o, v->rsdp.v);
	out_u64(o, memory_map);
	out_u32(o, v->n_rows);
	out_u32(o, 0);
	if (modules != 0) {
		out_u64(o, v->initrd.v);
		out_u64(o, v->initrd_len.v);
		out_u64(o, 0); /* its command line */
		out_u64(o, 0);
	}
	for (uint32_t i = 0; i < v->n_rows; i++) {
		out_u64(o, v->rows[i].at.v);
		out_u64(o, v->rows[i].len.v);
		out_u32(o, v->rows[i].type);
		out_u32(o, 0);
	}
}
