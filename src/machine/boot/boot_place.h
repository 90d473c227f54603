/* SPDX-License-Identifier: Apache-2.0 */
/* An ELF kernel's bytes, as they come, go to where its segments want them in fresh memory.
 *
 * The bytes are hostile and come in file order, so that a kernel is never held as a whole: the ELF
 * header is first and says where the rest goes. */
#pragma once

#include "base/heap.h"
#include "machine/boot/boot_file.h"
#include "machine/ram/gmem.h"
#include "wire/decompress.h"
#include "wire/elf.h"

/* A kernel must have its program headers in this beginning. */
enum { PLACE_HEAD = 65536 };

struct placement {
	const struct gmem *ram;
	gpa_t lowest, end;   /* a segment lies in between */
	bytes_t file_len;
	bool parsed;
	struct elf elf;      /* when parsed */
	uint64_t taken;      /* offset in the file of the next byte */
	size_t head_len;
	uint8_t *head;       /* owned: the beginning, until it is parsed */
	uint8_t *notes[ELF_NOTES_MAX]; /* owned: bytes of elf.notes, zero until they came by */
};

/* Before the first byte. */
struct placement placement_begin(const struct gmem *ram, gpa_t lowest, gpa_t end,
				 bytes_t file_len);
void placement_drop(struct placement *p);
#define owned_placement __attribute__((cleanup(placement_drop))) struct placement

/* From an ELF file, of which `head` is the first PLACE_HEAD bytes, or all: only what is loaded is
 * read. */
must_check err_t placement_file(struct placement *p, struct cur head, const struct boot_file *f,
				struct diag *d);
/* A sink for its bytes, with scratch memory of UNPACK_SCRATCH bytes; both arguments stay where they
 * are while it is used. */
struct sink placement_sink(struct placement *p, uint8_t *scratch);
/* After the last byte: that all came. */
must_check err_t placement_end(const struct placement *p, struct diag *d);

/* The PVH entry point of what was placed; 0: it has none. */
must_check err_t placement_pvh(const struct placement *p, struct diag *d, uint32_t *ret_entry);

/* Writes to fresh memory, but leaves pages alone that would only be filled with zeros. */
must_check err_t place_bytes(const struct gmem *ram, gpa_t at, const uint8_t *bytes, size_t n);

/* After placement_pvh: does the kernel call itself Linux? */
must_check bool placement_is_linux(const struct placement *p);
