/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mutant.h"

#include <stdlib.h>
#include <string.h>

enum { AT_SECTIONS = 20, AT_TOTAL = 72, AT_CRC = 80, GROW_MAX = 64 };

uint64_t random_next(uint64_t *seed)
{
	/* splitmix64: Steele, Lea, Flood 2014. */
	uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return random_next(seed) % n;
}

static uint64_t get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static void put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint8_t *bytes_copy(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n + 1);

	if (copy == NULL)
		abort();
	if (n != 0)
		memcpy(copy, bytes, n);
	return copy;
}

struct pieces *pieces_of(const uint8_t *bytes, size_t len)
{
	struct pieces *p = calloc(1, sizeof *p);

	if (p == NULL || len < SNAP_HEAD_SIZE)
		abort();
	memcpy(p->page, bytes, SNAP_HEAD_SIZE);
	p->n = (uint32_t)get(p->page + AT_SECTIONS, 4);
	for (uint32_t i = 0; i < p->n; i++) {
		const uint8_t *row = bytes + SNAP_HEAD_SIZE + i * SNAP_ROW_SIZE;
		struct piece *r = &p->rows[i];
		uint64_t offset = get(row + 8, 8), size = get(row + 16, 8);

		r->kind = (uint32_t)get(row, 4);
		r->index = (uint32_t)get(row + 4, 4);
		if (r->kind == SECT_RAM) {
			r->ram = size;
			continue;
		}
		r->len = (size_t)size;
		r->bytes = bytes_copy(bytes + offset, r->len);
	}
	return p;
}

struct pieces *pieces_copy(const struct pieces *p)
{
	struct pieces *copy = malloc(sizeof *copy);

	if (copy == NULL)
		abort();
	*copy = *p;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->rows[i].bytes != NULL)
			copy->rows[i].bytes = bytes_copy(p->rows[i].bytes, p->rows[i].len);
	return copy;
}

void pieces_free(struct pieces *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		free(p->rows[i].bytes);
	free(p);
}

/* ---- changes ---- */

static uint64_t interesting(uint64_t *seed)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 63, 64, 127, 128, 255, 256, 511, 512, 576, 4095,
		4096, 16384, 32768, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000,
		0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF,
	};

	return values[below(seed, countof(values))];
}

/* Where a change does most: counts and lengths stand in front, then a vCPU's registers. */
static size_t place(uint64_t *seed, size_t len)
{
	size_t near = len < 64 ? len : 64, registers = len < 768 ? len : 768;

	switch (below(seed, 4)) {
	case 0: return (size_t)below(seed, len);
	case 1: return len - 1 - (size_t)below(seed, near);
	case 2: return (size_t)below(seed, registers);
	default: return (size_t)below(seed, near);
	}
}

static void number_change(struct piece *r, uint64_t *seed)
{
	size_t width = (size_t)1 << below(seed, 4);
	size_t at = place(seed, r->len) / width * width;
	uint64_t v;

	if (r->len - at < width)
		return;
	v = get(r->bytes + at, width);
	switch (below(seed, 3)) {
	case 0: v = interesting(seed); break;
	case 1: v += below(seed, 33) - 16; break;
	default: v = random_next(seed); break;
	}
	put(r->bytes + at, v, width);
}

static void length_change(struct piece *r, uint64_t *seed)
{
	size_t at = place(seed, r->len), n = 1 + (size_t)below(seed, GROW_MAX);
	uint8_t *grown;

	if (below(seed, 2) == 0) {
		n = n < r->len - at ? n : r->len - at;
		memmove(r->bytes + at, r->bytes + at + n, r->len - at - n);
		r->len -= n;
		return;
	}
	grown = malloc(r->len + n);
	if (grown == NULL)
		abort();
	memcpy(grown, r->bytes, at);
	for (size_t i = 0; i < n; i++)
		grown[at + i] = (uint8_t)(below(seed, 2) == 0 ? 0 : random_next(seed));
	memcpy(grown + at + n, r->bytes + at, r->len - at);
	free(r->bytes);
	r->bytes = grown;
	r->len += n;
}

static void section_change(struct piece *r, uint64_t *seed)
{
	if (r->bytes == NULL || r->len == 0)
		return;
	switch (below(seed, 6)) {
	case 0: r->bytes[place(seed, r->len)] ^= (uint8_t)(1u << below(seed, 8)); break;
	case 1: r->len = (size_t)below(seed, r->len); break;
	case 2: length_change(r, seed); break;
	default: number_change(r, seed); break;
	}
}

static void row_drop(struct pieces *p, uint32_t i)
{
	free(p->rows[i].bytes);
	memmove(&p->rows[i], &p->rows[i + 1], (p->n - i - 1) * sizeof p->rows[0]);
	p->n--;
}

static void row_double(struct pieces *p, uint32_t i, uint64_t *seed)
{
	struct piece copy = p->rows[i];

	if (p->n == PIECES_MAX)
		return;
	if (copy.bytes != NULL)
		copy.bytes = bytes_copy(copy.bytes, copy.len);
	copy.index += (uint32_t)below(seed, 2);
	memmove(&p->rows[i + 1], &p->rows[i], (p->n - i) * sizeof p->rows[0]);
	p->rows[i] = copy;
	p->n++;
}

static void table_change(struct pieces *p, uint64_t *seed)
{
	uint32_t i = (uint32_t)below(seed, p->n), k = (uint32_t)below(seed, p->n);
	struct piece *r = &p->rows[i], other;

	switch (below(seed, 8)) {
	case 0: row_drop(p, i); break;
	case 1: row_double(p, i, seed); break;
	case 2: other = *r; *r = p->rows[k]; p->rows[k] = other; break;
	case 3: r->index = (uint32_t)interesting(seed); break;
	case 4: r->kind = (uint32_t)below(seed, 13); break;
	case 5: r->offset_lie = interesting(seed); break;
	case 6: r->size_lie = interesting(seed); break;
	default: r->crc_lie = interesting(seed); break;
	}
}

static void head_change(struct pieces *p, uint64_t *seed)
{
	switch (below(seed, 4)) {
	case 0: p->total_lie = interesting(seed); break;
	case 1: p->sections_lie = (uint32_t)interesting(seed); break;
	default: put(p->page + 8 + 4 * below(seed, 16), interesting(seed), 4); break;
	}
}

/* A section of another machine in the place of ours. */
static void splice(struct pieces *p, const struct pieces *donor, uint64_t *seed)
{
	struct piece *r = &p->rows[below(seed, p->n)];
	const struct piece *from = &donor->rows[below(seed, donor->n)];

	if (r->bytes == NULL || from->bytes == NULL)
		return;
	free(r->bytes);
	r->bytes = bytes_copy(from->bytes, from->len);
	r->len = from->len;
}

void pieces_mutate(struct pieces *p, const struct pieces *donor, uint64_t *seed)
{
	uint64_t changes = 1 + below(seed, 12);

	for (uint64_t i = 0; i < changes && p->n != 0; i++) {
		switch (below(seed, 32)) {
		case 0: head_change(p, seed); break;
		case 1: table_change(p, seed); break;
		case 2: splice(p, donor, seed); break;
		default: section_change(&p->rows[below(seed, p->n)], seed); break;
		}
	}
}

/* ---- the re-encoder ---- */

static uint64_t up(uint64_t v, uint64_t align)
{
	return (v + align - 1) / align * align;
}

/* Offsets of all rows; returns where the last one ends. */
static uint64_t lay_out(const struct pieces *p, uint64_t *offsets)
{
	uint64_t end = SNAP_HEAD_SIZE + (uint64_t)p->n * SNAP_ROW_SIZE;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct piece *r = &p->rows[i];

		offsets[i] = up(end, r->bytes == NULL ? FILE_RAM_ALIGN : FILE_SECT_ALIGN);
		end = offsets[i] + (r->bytes == NULL ? r->ram : r->len);
	}
	return end;
}

static void row_write(const struct piece *r, uint64_t offset, uint8_t *row)
{
	uint64_t crc = r->bytes == NULL ? 0 : crc64(r->bytes, r->len);

	put(row, r->kind, 4);
	put(row + 4, r->index, 4);
	put(row + 8, offset + r->offset_lie, 8);
	put(row + 16, (r->bytes == NULL ? r->ram : r->len) + r->size_lie, 8);
	put(row + 24, crc + r->crc_lie, 8);
}

uint8_t *pieces_encode(const struct pieces *p, size_t *ret_len, foff_t *ret_file_len)
{
	uint64_t offsets[PIECES_MAX], total = lay_out(p, offsets) + p->total_lie;
	size_t front = SNAP_HEAD_SIZE + (size_t)p->n * SNAP_ROW_SIZE, len = front;
	uint8_t *bytes;

	for (uint32_t i = 0; i < p->n; i++)
		if (p->rows[i].bytes != NULL)
			len = (size_t)offsets[i] + p->rows[i].len;
	/* Sections after RAM are not before it: such a file is refused by its table. */
	if (len > MIB(2))
		len = front;
	bytes = calloc(1, len);
	if (bytes == NULL)
		abort();
	memcpy(bytes, p->page, SNAP_HEAD_SIZE);
	put(bytes + AT_SECTIONS, p->n + p->sections_lie, 4);
	put(bytes + AT_TOTAL, total, 8);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct piece *r = &p->rows[i];

		row_write(r, offsets[i], bytes + SNAP_HEAD_SIZE + i * SNAP_ROW_SIZE);
		if (r->bytes != NULL && offsets[i] + r->len <= len)
			memcpy(bytes + offsets[i], r->bytes, r->len);
	}
	snap_head_seal(bytes, front);
	*ret_len = len;
	*ret_file_len = FOFF(total);
	return bytes;
}
