/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/elf.h"

#include <inttypes.h>
#include <string.h>

enum {
	EHDR_SIZE = 64,
	PHDR_SIZE = 56,
	CLASS_64 = 2,
	DATA_LITTLE = 1,
	VERSION_CURRENT = 1,
	TYPE_EXEC = 2,
	MACHINE_X86_64 = 62,
	PT_LOAD = 1,
	PT_INTERP = 3,
	PT_NOTE = 4,
	NOTE_PVH_ENTRY = 18, /* XEN_ELFNOTE_PHYS32_ENTRY */
};

static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };

struct ehdr {
	uint16_t type, machine, ehsize, phentsize, phnum;
	uint32_t version;
	uint64_t entry, phoff;
};

struct phdr {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz, align;
};

bool elf_looks_like(struct cur file)
{
	uint8_t got[sizeof magic];

	return !failed(cur_bytes(&file, got, sizeof got)) && memcmp(got, magic, sizeof got) == 0;
}

static err_t ident_judge(const uint8_t ident[16], struct diag *d)
{
	if (memcmp(ident, magic, sizeof magic) != 0)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "EI_MAG", "not an ELF file");
	if (ident[4] != CLASS_64)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "EI_CLASS",
				  "%u, expected %d (64-bit)", ident[4], CLASS_64);
	if (ident[5] != DATA_LITTLE)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "EI_DATA",
				  "%u, expected %d (little-endian)", ident[5], DATA_LITTLE);
	if (ident[6] != VERSION_CURRENT)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "EI_VERSION",
				  "%u, expected %d", ident[6], VERSION_CURRENT);
	return OK;
}

static err_t ehdr_read(struct cur box, struct diag *d, struct ehdr *ret)
{
	uint8_t ident[16];
	uint64_t shoff;
	uint32_t flags;

	TRY(cur_bytes(&box, ident, sizeof ident));
	TRY(ident_judge(ident, d));
	TRY(cur_u16(&box, &ret->type));
	TRY(cur_u16(&box, &ret->machine));
	TRY(cur_u32(&box, &ret->version));
	TRY(cur_u64(&box, &ret->entry));
	TRY(cur_u64(&box, &ret->phoff));
	TRY(cur_u64(&box, &shoff));
	TRY(cur_u32(&box, &flags));
	TRY(cur_u16(&box, &ret->ehsize));
	TRY(cur_u16(&box, &ret->phentsize));
	return cur_u16(&box, &ret->phnum);
}

static err_t ehdr_judge(const struct ehdr *h, struct diag *d)
{
	if (h->type != TYPE_EXEC)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_type",
				  "%u, expected %d (an executable at a fixed address)", h->type,
				  TYPE_EXEC);
	if (h->machine != MACHINE_X86_64)
		return diag_field(d, FAIL(ERR_ARCH), "elf", "e_machine",
				  "%u, expected %d (x86-64)", h->machine, MACHINE_X86_64);
	if (h->version != VERSION_CURRENT)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_version",
				  "%" PRIu32 ", expected %d", h->version, VERSION_CURRENT);
	if (h->ehsize != EHDR_SIZE)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_ehsize", "%u, expected %d",
				  h->ehsize, EHDR_SIZE);
	if (h->phentsize != PHDR_SIZE)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_phentsize", "%u, expected %d",
				  h->phentsize, PHDR_SIZE);
	if (h->phnum == 0 || h->phnum > ELF_PHDRS_MAX)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_phnum",
				  "%u program headers, expected 1 to %d", h->phnum, ELF_PHDRS_MAX);
	return OK;
}

/* The cursor over exactly the program headers. */
static err_t phdrs_box(struct cur head, bytes_t file_len, const struct ehdr *h, struct diag *d,
		       struct cur *ret_box)
{
	struct cur before, rest = head;
	size_t n = (size_t)h->phnum * PHDR_SIZE;

	if (h->phoff < EHDR_SIZE)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_phoff",
				  "%" PRIu64 ", which is inside the ELF header", h->phoff);
	if (!range_holds(0, file_len.v, h->phoff, n))
		return diag_field(d, FAIL(ERR_TRUNCATED), "elf", "e_phoff",
				  "%u program headers at %" PRIu64
				  " do not fit into the file of %" PRIu64 " bytes",
				  h->phnum, h->phoff, file_len.v);
	if (failed(cur_take(&rest, h->phoff, &before)) || failed(cur_take(&rest, n, ret_box)))
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_phoff",
				  "program headers at %" PRIu64
				  ", expected within the first %zu bytes",
				  h->phoff, cur_left(&head));
	return OK;
}

static err_t phdr_read(struct cur *box, struct phdr *ret)
{
	uint32_t flags;
	uint64_t vaddr;

	TRY(cur_u32(box, &ret->type));
	TRY(cur_u32(box, &flags));
	TRY(cur_u64(box, &ret->offset));
	TRY(cur_u64(box, &vaddr));
	TRY(cur_u64(box, &ret->paddr));
	TRY(cur_u64(box, &ret->filesz));
	TRY(cur_u64(box, &ret->memsz));
	return cur_u64(box, &ret->align);
}

static err_t segment_add(const struct phdr *p, struct diag *d, struct elf *e)
{
	struct elf_segment s = { GPA(p->paddr), p->offset, BYTES(p->filesz), BYTES(p->memsz) };
	gpa_t end;

	if (p->filesz > p->memsz)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_filesz",
				  "%" PRIu64 " bytes for %" PRIu64 " bytes of memory", p->filesz,
				  p->memsz);
	if (!gpa_end(s.at, s.memsz, &end))
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_memsz",
				  "%#" PRIx64 " bytes at %#" PRIx64 " wrap around", p->memsz,
				  p->paddr);
	if (p->memsz == 0)
		return OK;
	for (uint32_t i = 0; i < e->n_segments; i++) {
		const struct elf_segment *o = &e->segments[i];

		if (ranges_overlap(o->at.v, o->memsz.v, s.at.v, s.memsz.v))
			return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_paddr",
					  "segments at %#" PRIx64 " and %#" PRIx64 " overlap",
					  o->at.v, s.at.v);
	}
	e->segments[e->n_segments++] = s;
	return OK;
}

static err_t notes_add(const struct phdr *p, struct diag *d, struct elf *e)
{
	if (p->filesz > ELF_NOTE_BYTES_MAX)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_filesz",
				  "%" PRIu64 " bytes of notes, expected at most %d", p->filesz,
				  ELF_NOTE_BYTES_MAX);
	if (e->n_notes == ELF_NOTES_MAX)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_type",
				  "more than %d PT_NOTE headers", ELF_NOTES_MAX);
	e->notes[e->n_notes++] = (struct elf_notes){ p->offset, (uint32_t)p->filesz,
						     p->align == 8 ? 8 : 4 };
	return OK;
}

static err_t phdr_add(const struct phdr *p, bytes_t file_len, struct diag *d, struct elf *e)
{
	if (p->type == PT_INTERP)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_type",
				  "PT_INTERP: a program for an operating system, not a kernel");
	if (p->type != PT_LOAD && p->type != PT_NOTE)
		return OK;
	if (!range_holds(0, file_len.v, p->offset, p->filesz))
		return diag_field(d, FAIL(ERR_TRUNCATED), "elf", "p_offset",
				  "%" PRIu64 " bytes at %" PRIu64
				  " do not fit into the file of %" PRIu64 " bytes",
				  p->filesz, p->offset, file_len.v);
	return p->type == PT_LOAD ? segment_add(p, d, e) : notes_add(p, d, e);
}

err_t elf_parse(struct cur head, bytes_t file_len, struct diag *d, struct elf *ret)
{
	struct elf e = { 0 };
	struct cur box, rest = head;
	struct ehdr h;
	struct phdr p;

	if (failed(cur_take(&rest, EHDR_SIZE, &box)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "elf", "e_ident",
				  "%zu bytes, an ELF header has %d", cur_left(&head), EHDR_SIZE);
	TRY(ehdr_read(box, d, &h));
	TRY(ehdr_judge(&h, d));
	TRY(phdrs_box(head, file_len, &h, d, &box));
	for (uint16_t i = 0; i < h.phnum; i++) {
		TRY(phdr_read(&box, &p));
		TRY(phdr_add(&p, file_len, d, &e));
	}
	if (e.n_segments == 0)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_type", "no PT_LOAD segment");
	e.entry = h.entry;
	if (!elf_loads(&e, e.entry, 1))
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "e_entry",
				  "%#" PRIx64 " lies in no loaded segment", e.entry);
	*ret = e;
	return OK;
}

bool elf_loads(const struct elf *e, uint64_t at, uint64_t n)
{
	for (uint32_t i = 0; i < e->n_segments; i++) {
		if (range_holds(e->segments[i].at.v, e->segments[i].filesz.v, at, n))
			return true;
	}
	return false;
}

/* Padding after the last field of the last note may be missing. */
static void pad_skip(struct cur *c, uint32_t len, uint32_t align)
{
	size_t pad = (align - len % align) % align, left = cur_left(c);
	struct cur skipped;

	ignore(cur_take(c, pad < left ? pad : left, &skipped));
}

static err_t pvh_entry_read(struct cur desc, struct diag *d, uint32_t *io_entry)
{
	uint64_t entry = 0;
	uint32_t narrow;
	size_t n = cur_left(&desc);

	if (n == sizeof narrow) {
		TRY(cur_u32(&desc, &narrow));
		entry = narrow;
	} else if (n == sizeof entry) {
		TRY(cur_u64(&desc, &entry));
	} else {
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "pvh_note",
				  "a value of %zu bytes, expected 4 or 8", n);
	}
	if (entry == 0 || entry > UINT32_MAX)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "pvh_note",
				  "entry point %#" PRIx64 ", expected a 32-bit address", entry);
	if (*io_entry != 0 && *io_entry != entry)
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "pvh_note",
				  "entry points %#" PRIx32 " and %#" PRIx64 ", expected one",
				  *io_entry, entry);
	*io_entry = (uint32_t)entry;
	return OK;
}

static err_t note_read(struct cur *c, uint32_t align, uint32_t *ret_type, struct cur *ret_name,
		       struct cur *ret_desc)
{
	uint32_t namesz, descsz;

	TRY(cur_u32(c, &namesz));
	TRY(cur_u32(c, &descsz));
	TRY(cur_u32(c, ret_type));
	TRY(cur_take(c, namesz, ret_name));
	pad_skip(c, namesz, align);
	TRY(cur_take(c, descsz, ret_desc));
	pad_skip(c, descsz, align);
	return OK;
}

err_t elf_pvh_parse(struct cur notes, uint32_t align, struct diag *d, uint32_t *io_entry)
{
	static const uint8_t xen[4] = "Xen";
	struct cur name, desc;
	uint32_t type;

	while (cur_left(&notes) != 0) {
		if (failed(note_read(&notes, align, &type, &name, &desc)))
			return diag_field(d, FAIL(ERR_TRUNCATED), "elf", "pvh_note",
					  "a note goes on past the end of its PT_NOTE");
		if (type == NOTE_PVH_ENTRY && cur_left(&name) == sizeof xen &&
		    memcmp(name.at, xen, sizeof xen) == 0)
			TRY(pvh_entry_read(desc, d, io_entry));
	}
	return OK;
}

bool elf_has_linux_note(struct cur notes, uint32_t align)
{
	static const uint8_t owner[6] = "Linux";
	struct cur name, desc;
	uint32_t type;

	while (!failed(note_read(&notes, align, &type, &name, &desc))) {
		if (cur_left(&name) == sizeof owner && memcmp(name.at, owner, sizeof owner) == 0)
			return true;
	}
	return false;
}
