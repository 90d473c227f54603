/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/boot/boot_place.h"

#include <inttypes.h>
#include <string.h>

#define PAGE UINT64_C(4096)
/* What a file is read in: it stays in the processor's cache between the read and the copy. */
#define PLACE_PIECE (64 * PAGE)

/* In plain words, not memcmp: half of a kernel's pages are zero, and vector code takes five times as
 * long where the processor is emulated. */
static bool is_zero(const uint8_t *bytes, size_t n)
{
	for (; n >= 64; bytes += 64, n -= 64) {
		uint64_t w[8];

		memcpy(w, bytes, sizeof w);
		if ((w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) != 0)
			return false;
	}
	for (; n != 0; bytes++, n--) {
		if (*bytes != 0)
			return false;
	}
	return true;
}

/* One stretch of pages, or parts of pages, with something in each. No guest runs yet and nobody
 * else holds this memory, so it is written in bulk. */
static err_t stretch_put(const struct gmem *ram, gpa_t at, const uint8_t *bytes, size_t n)
{
	struct iovec iov[RAM_REGIONS_MAX];
	size_t pieces = 0;

	if (n == 0)
		return OK;
	TRY(gmem_iovecs(ram, at, n, iov, countof(iov), &pieces));
	boot_populate(iov, pieces);
	for (size_t i = 0; i < pieces; i++) {
		memcpy(iov[i].iov_base, bytes, iov[i].iov_len);
		bytes += iov[i].iov_len;
	}
	return OK;
}

err_t place_bytes(const struct gmem *ram, gpa_t at, const uint8_t *bytes, size_t n)
{
	size_t from = 0, done = 0; /* [from, done) waits to be written */

	while (done < n) {
		size_t piece = PAGE - (at.v + done) % PAGE;

		if (piece > n - done)
			piece = n - done;
		if (is_zero(bytes + done, piece)) {
			TRY(stretch_put(ram, GPA(at.v + from), bytes + from, done - from));
			from = done + piece;
		}
		done += piece;
	}
	return stretch_put(ram, GPA(at.v + from), bytes + from, done - from);
}

struct placement placement_begin(const struct gmem *ram, gpa_t lowest, gpa_t end,
				 bytes_t file_len)
{
	return (struct placement){
		.ram = ram, .lowest = lowest, .end = end, .file_len = file_len,
	};
}

void placement_drop(struct placement *p)
{
	free(p->head);
	p->head = NULL;
	for (size_t i = 0; i < countof(p->notes); i++) {
		free(p->notes[i]);
		p->notes[i] = NULL;
	}
}

static err_t segments_judge(const struct placement *p, struct diag *d)
{
	for (uint32_t i = 0; i < p->elf.n_segments; i++) {
		const struct elf_segment *s = &p->elf.segments[i];

		if (s->at.v < p->lowest.v)
			return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_paddr",
					  "a segment at %#" PRIx64 ", expected at least %#" PRIx64,
					  s->at.v, p->lowest.v);
		if (s->at.v + s->memsz.v > p->end.v)
			return diag_field(d, FAIL(ERR_KERNEL), "elf", "p_paddr",
					  "a segment that ends at %#" PRIx64
					  ", but the machine's RAM below 4 GiB ends at %#" PRIx64,
					  s->at.v + s->memsz.v, p->end.v);
	}
	return OK;
}

static err_t elf_take(struct placement *p, struct cur head, struct diag *d)
{
	TRY(elf_parse(head, p->file_len, d, &p->elf));
	TRY(segments_judge(p, d));
	for (uint32_t i = 0; i < p->elf.n_notes; i++) {
		p->notes[i] = calloc(1, p->elf.notes[i].len + 1u);
		if (p->notes[i] == NULL)
			return FAIL(ERR_NOMEM);
	}
	p->parsed = true;
	return OK;
}

/* The part of [taken, taken + n) that lies in [at, at + len); false: none. */
static bool part_of(uint64_t taken, size_t n, uint64_t at, uint64_t len, uint64_t *ret_from,
		    uint64_t *ret_to)
{
	uint64_t from = at > taken ? at : taken;
	uint64_t to = at + len < taken + n ? at + len : taken + n;

	*ret_from = from;
	*ret_to = to;
	return from < to;
}

/* The next n bytes, once it is known where they go. */
static err_t bytes_take(struct placement *p, const uint8_t *bytes, size_t n)
{
	uint64_t from, to;

	for (uint32_t i = 0; i < p->elf.n_segments; i++) {
		const struct elf_segment *s = &p->elf.segments[i];

		if (part_of(p->taken, n, s->offset, s->filesz.v, &from, &to))
			TRY(place_bytes(p->ram, GPA(s->at.v + (from - s->offset)),
					bytes + (from - p->taken), to - from));
	}
	for (uint32_t i = 0; i < p->elf.n_notes; i++) {
		const struct elf_notes *s = &p->elf.notes[i];

		if (part_of(p->taken, n, s->offset, s->len, &from, &to))
			memcpy(p->notes[i] + (from - s->offset), bytes + (from - p->taken),
			       to - from);
	}
	p->taken += n;
	return OK;
}

/* The first offset from `at` on that something is loaded from, or the end of the file. */
static uint64_t next_wanted(const struct placement *p, uint64_t at)
{
	uint64_t next = p->file_len.v, from, to;

	for (uint32_t i = 0; i < p->elf.n_segments; i++) {
		const struct elf_segment *s = &p->elf.segments[i];

		if (part_of(at, p->file_len.v - at, s->offset, s->filesz.v, &from, &to) && from < next)
			next = from;
	}
	for (uint32_t i = 0; i < p->elf.n_notes; i++) {
		const struct elf_notes *s = &p->elf.notes[i];

		if (part_of(at, p->file_len.v - at, s->offset, s->len, &from, &to) && from < next)
			next = from;
	}
	return next;
}

err_t placement_file(struct placement *p, struct cur head, const struct boot_file *f, struct diag *d)
{
	owned_heap uint8_t *piece = malloc(PLACE_PIECE);

	if (piece == NULL)
		return FAIL(ERR_NOMEM);
	TRY(elf_take(p, head, d));
	TRY(bytes_take(p, head.at, cur_left(&head)));
	for (;;) {
		uint64_t left;

		p->taken = next_wanted(p, p->taken);
		left = p->file_len.v - p->taken;
		if (left == 0)
			return OK;
		if (left > PLACE_PIECE)
			left = PLACE_PIECE;
		TRY(boot_file_read(f, p->taken, piece, left, d));
		TRY(bytes_take(p, piece, left));
	}
}

/* Gathers the beginning; when it is there, parses and places it. */
static err_t head_take(struct placement *p, const uint8_t **io_bytes, size_t *io_n, struct diag *d)
{
	size_t whole = p->file_len.v < PLACE_HEAD ? p->file_len.v : PLACE_HEAD;
	size_t n = whole - p->head_len < *io_n ? whole - p->head_len : *io_n;

	if (p->head == NULL)
		p->head = malloc(PLACE_HEAD);
	if (p->head == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(p->head + p->head_len, *io_bytes, n);
	p->head_len += n;
	*io_bytes += n;
	*io_n -= n;
	if (p->head_len < whole)
		return OK;
	TRY(elf_take(p, cur_of(p->head, whole), d));
	return bytes_take(p, p->head, whole);
}

static err_t placement_put(void *ctx, const uint8_t *bytes, size_t n, struct diag *d)
{
	struct placement *p = ctx;

	if (!p->parsed)
		TRY(head_take(p, &bytes, &n, d));
	return n == 0 ? OK : bytes_take(p, bytes, n);
}

struct sink placement_sink(struct placement *p, uint8_t *scratch)
{
	return (struct sink){ placement_put, p, scratch };
}

err_t placement_end(const struct placement *p, struct diag *d)
{
	uint64_t got = p->parsed ? p->taken : p->head_len;

	if (got != p->file_len.v)
		return diag_field(d, FAIL(ERR_DECOMPRESS), "payload", "length",
				  "unpacks to %" PRIu64 " bytes, but the size after it says %" PRIu64,
				  got, p->file_len.v);
	return OK;
}

err_t placement_pvh(const struct placement *p, struct diag *d, uint32_t *ret_entry)
{
	uint32_t entry = 0;

	for (uint32_t i = 0; i < p->elf.n_notes; i++)
		TRY(elf_pvh_parse(cur_of(p->notes[i], p->elf.notes[i].len),
				  p->elf.notes[i].align, d, &entry));
	if (entry != 0 && !elf_loads(&p->elf, entry, 1))
		return diag_field(d, FAIL(ERR_KERNEL), "elf", "pvh_note",
				  "entry point %#" PRIx32 " lies in no loaded segment", entry);
	*ret_entry = entry;
	return OK;
}

bool placement_is_linux(const struct placement *p)
{
	for (uint32_t i = 0; i < p->elf.n_notes; i++) {
		if (p->notes[i] != NULL &&
		    elf_has_linux_note(cur_of(p->notes[i], p->elf.notes[i].len), p->elf.notes[i].align))
			return true;
	}
	return false;
}
