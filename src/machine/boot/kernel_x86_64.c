/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/boot/kernel_x86_64.h"

#include <inttypes.h>
#include <string.h>

#include "base/own.h"
#include "machine/boot/boot_file.h"
#include "machine/boot/boot_place.h"

/* The largest vmlinux that is unpacked, for kernels that do not state their init_size. */
#define UNPACKED_MAX MIB(512)

/* For a kernel without a setup header: what Linux has stated for twenty years. */
enum { OWN_INITRD_ADDR_MAX = 0x7fffffff, OWN_CMDLINE_MAX = 2047 };

struct room {
	const struct gmem *ram;
	gpa_t lowest, end;
};

/* Where an ELF kernel that was placed is entered. */
static err_t elf_entry(const struct placement *p, enum boot_method method, struct diag *d,
		       struct kernel *io)
{
	uint32_t pvh;

	TRY(placement_pvh(p, d, &pvh));
	if (method == BOOT_PVH && pvh == 0)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "pvh_note",
				  "there is none, so it cannot be entered by PVH");
	io->is_linux = io->is_linux || placement_is_linux(p);
	io->how = pvh != 0 && method != BOOT_LINUX64 ? ENTRY_PVH : ENTRY_LINUX64;
	io->entry = io->how == ENTRY_PVH ? pvh : p->elf.entry;
	for (uint32_t i = 0; i < p->elf.n_segments; i++) {
		uint64_t end = p->elf.segments[i].at.v + p->elf.segments[i].memsz.v;

		if (end > io->end.v)
			io->end = GPA(end);
	}
	return OK;
}

static err_t elf_place(const struct boot_file *f, bytes_t len, struct cur head,
		       enum boot_method method, const struct room *room, struct diag *d,
		       struct kernel *io)
{
	owned_placement p = placement_begin(room->ram, room->lowest, room->end, len);

	TRY(placement_file(&p, head, f, d));
	return elf_entry(&p, method, d, io);
}

/* The size that the kernel's build put after the payload says how much comes out; it is believed
 * as far as this bound, and never exceeded. */
static err_t unpacked_len_judge(const struct bzimage *b, const struct room *room, struct diag *d)
{
	struct unpack_bound bound = { BYTES(UNPACKED_MAX), "the most that is unpacked" };

	if (b->init_size != 0 && b->init_size < bound.max.v)
		bound = (struct unpack_bound){ BYTES(b->init_size), "its own init_size" };
	if (room->end.v < bound.max.v)
		bound = (struct unpack_bound){ BYTES(room->end.v), "the machine's RAM below 4 GiB" };
	if (b->unpacked_len > bound.max.v)
		return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "length",
				  "says it unpacks to %" PRIu32 " bytes, expected at most %" PRIu64
				  ", which is %s", b->unpacked_len, bound.max.v, bound.what);
	return OK;
}

/* LZ4 fills it with every block: then what will be used of it is populated in one call, because
 * faulting it in page by page takes longer than the unpacking. Linux before 5.14 cannot. */
static err_t scratch_new(enum packing packing, size_t unpacked_len, map_t *ret)
{
	void *base = mmap(NULL, UNPACK_SCRATCH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return FAIL(ERR_NOMEM);
	if (packing == PACK_LZ4)
		(void)madvise(base, unpacked_len < UNPACK_SCRATCH ? unpacked_len : UNPACK_SCRATCH,
			      MADV_POPULATE_WRITE);
	*ret = (map_t){ base, UNPACK_SCRATCH };
	return OK;
}

static err_t payload_place(const struct bzimage *b, enum boot_method method,
			   const struct room *room, struct diag *d, struct kernel *io)
{
	owned_placement p = placement_begin(room->ram, room->lowest, room->end,
					    BYTES(b->unpacked_len));
	struct unpack_bound bound = { p.file_len, "the size stated after it" };
	owned_map scratch = MAP_NONE;
	enum packing packing;
	struct sink to;
	bytes_t len;

	TRY(unpacked_len_judge(b, room, d));
	TRY(packing_of(b->payload, d, &packing));
	TRY(scratch_new(packing, b->unpacked_len, &scratch));
	to = placement_sink(&p, scratch.base);
	TRY(unpack(packing, bzimage_packed(b, packing), bound, &to, d, &len));
	TRY(placement_end(&p, d));
	return elf_entry(&p, method, d, io);
}

/* The protected-mode part as it is: it unpacks itself, in the init_size bytes from where it is
 * placed. */
static err_t loader_place(const struct bzimage *b, const struct room *room, struct diag *d,
			  struct kernel *io)
{
	uint64_t need = b->init_size, size = cur_left(&b->code);

	if (!b->entry64)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "xloadflags",
				  "XLF_KERNEL_64 is not set: no 64-bit entry point");
	if (size <= BZIMAGE_ENTRY64_AT)
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "syssize",
				  "%" PRIu64 " bytes, too few to hold the 64-bit entry point", size);
	if (need < size)
		need = size;
	if (b->pref_address < room->lowest.v ||
	    !range_holds(0, room->end.v, b->pref_address, need))
		return diag_field(d, FAIL(ERR_KERNEL), "bzimage", "pref_address",
				  "it needs %#" PRIx64 " bytes from %#" PRIx64
				  " on, expected within RAM from %#" PRIx64 " to %#" PRIx64,
				  need, b->pref_address, room->lowest.v, room->end.v);
	TRY(place_bytes(room->ram, GPA(b->pref_address), b->code.at, size));
	io->how = ENTRY_LINUX64;
	io->entry = b->pref_address + BZIMAGE_ENTRY64_AT;
	io->end = GPA(b->pref_address + need);
	return OK;
}

/* Small, being packed, and its parts are wanted in no order: it is read as a whole. */
static err_t bzimage_place(const struct boot_file *f, bytes_t len, enum boot_method method,
			   const struct room *room, struct diag *d, struct kernel *io)
{
	owned_map file = MAP_NONE;
	struct bzimage b;

	TRY(boot_file_copy(f, len, d, &file));
	TRY(bzimage_parse(cur_of(file.base, file.len), d, &b));
	io->setup_header_len = cur_left(&b.setup_header);
	memcpy(io->setup_header, b.setup_header.at, io->setup_header_len);
	io->is_linux = true;
	io->initrd_addr_max = b.initrd_addr_max;
	io->cmdline_max = b.cmdline_max;
	if (method == BOOT_BZIMAGE)
		return loader_place(&b, room, d, io);
	return payload_place(&b, method, room, d, io);
}

err_t kernel_place(const struct boot_file *f, enum boot_method method, const struct gmem *ram,
		   gpa_t lowest, struct diag *d, struct kernel *ret)
{
	struct room room = { ram, lowest, GPA(ram->regions[0].len.v) };
	owned_heap uint8_t *head = malloc(PLACE_HEAD);
	struct kernel k = {
		.initrd_addr_max = OWN_INITRD_ADDR_MAX,
		.cmdline_max = OWN_CMDLINE_MAX,
	};
	struct cur start;
	bytes_t len;

	if (head == NULL)
		return FAIL(ERR_NOMEM);
	TRY(boot_kernel_len(f, d, &len));
	start = cur_of(head, len.v < PLACE_HEAD ? len.v : PLACE_HEAD);
	TRY(boot_file_read(f, 0, head, cur_left(&start), d));
	if (bzimage_looks_like(start))
		TRY(bzimage_place(f, len, method, &room, d, &k));
	else if (!elf_looks_like(start))
		return diag_fail(d, FAIL(ERR_KERNEL), "is neither an ELF kernel nor a bzImage");
	else if (method == BOOT_BZIMAGE)
		return diag_fail(d, FAIL(ERR_KERNEL),
				 "is an ELF kernel, expected a bzImage (boot method bzimage)");
	else
		TRY(elf_place(f, len, start, method, &room, d, &k));
	*ret = k;
	return OK;
}
