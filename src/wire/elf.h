/* SPDX-License-Identifier: Apache-2.0 */
/* ELF64 executables for x86-64: what a loader needs of one, judged.
 *
 * The input is hostile. Only the ELF header, the program headers and the notes are looked at
 * (System V gABI, chapters 4 and 5; x86-64 psABI); section headers are not. A `struct elf` in
 * hand means: every loaded segment lies within the file and within 64 bits of physical address
 * space, no two of them share a byte of memory, and the entry point lies in the bytes of one. */
#pragma once

#include "base/bytes.h"
#include "base/units.h"

enum {
	ELF_PHDRS_MAX = 64,
	ELF_NOTES_MAX = 4,
	ELF_NOTE_BYTES_MAX = 65536, /* of one PT_NOTE */
};

/* filesz bytes at `offset` of the file go to `at`; up to memsz the memory is zero. */
struct elf_segment {
	gpa_t at;
	uint64_t offset;
	bytes_t filesz, memsz;
};

struct elf_notes {
	uint64_t offset;
	uint32_t len;
	uint32_t align; /* 4 or 8 */
};

struct elf {
	uint64_t entry; /* e_entry, which for a kernel is a physical address */
	uint32_t n_segments, n_notes;
	struct elf_segment segments[ELF_PHDRS_MAX]; /* in the order of the file; none is empty */
	struct elf_notes notes[ELF_NOTES_MAX];
};

/* Does it begin like an ELF file of any kind? */
must_check bool elf_looks_like(struct cur file);

/* `head` is the file, or a beginning of it that holds the program headers; `file_len` is what the
 * whole has. ERR_TRUNCATED, ERR_ARCH or ERR_KERNEL with the field in *d. */
must_check err_t elf_parse(struct cur head, bytes_t file_len, struct diag *d, struct elf *ret);

/* Looks for the PVH entry point (name "Xen", type XEN_ELFNOTE_PHYS32_ENTRY) in the bytes of one
 * PT_NOTE. *io_entry is set when it is there; it must be 0 or what an earlier PT_NOTE gave. */
must_check err_t elf_pvh_parse(struct cur notes, uint32_t align, struct diag *d,
			       uint32_t *io_entry);

/* Is one of these notes, which elf_pvh_parse took, of the owner "Linux"? Every Linux kernel since
 * 2.6.20 has one (include/linux/elfnote.h). */
must_check bool elf_has_linux_note(struct cur notes, uint32_t align);

/* Do [at, at+n) lie in the memory that a segment's file bytes fill? */
must_check bool elf_loads(const struct elf *e, uint64_t at, uint64_t n);
