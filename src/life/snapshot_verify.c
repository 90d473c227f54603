/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore leaves to the guest: every block of RAM against its checksum. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "life/snapshot_file.h"

enum { SUMS_BATCH = 512 };

struct verify {
	const struct snapshot *s;
	struct diag *d;
	uint64_t ram_at, sums_at;
	uint64_t present_seen;
	const struct ram_sink *sink; /* NULL: none */
	uint64_t sums[SUMS_BATCH]; /* those from present_seen rounded down to a batch */
	uint8_t block[RAM_BLOCK];
};

static err_t read_all(struct verify *v, void *to, size_t n, uint64_t at)
{
	uint8_t *p = to;

	while (n > 0) {
		ssize_t got = pread(v->s->fd.raw, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return diag_fail(v->d, FAIL(ERR_TRUNCATED), "cannot be read at byte %" PRIu64, at);
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

/* The section of block checksums itself, which a restore does not read. */
static err_t verify_sums(struct verify *v)
{
	const struct snap_row *row = image_row(v->s->image, SECT_RAM_SUMS, 0);
	uint64_t crc = 0;

	for (uint64_t done = 0; done < row->size.v;) {
		size_t n = row->size.v - done < sizeof v->block ? (size_t)(row->size.v - done)
								: sizeof v->block;

		TRY(read_all(v, v->block, n, row->offset.v + done));
		crc = crc64_more(crc, v->block, n);
		done += n;
	}
	if (crc != row->crc)
		return diag_field(v->d, FAIL(ERR_CHECKSUM), "ram-sums", "crc",
				  "%#018" PRIx64 ", the table says %#018" PRIx64, crc, row->crc);
	return OK;
}

static err_t next_sum(struct verify *v, uint64_t *ret)
{
	uint64_t in_batch = v->present_seen % SUMS_BATCH;
	struct cur c;

	if (in_batch == 0) {
		const struct snap_row *row = image_row(v->s->image, SECT_RAM_SUMS, 0);
		uint64_t from = v->present_seen * sizeof v->sums[0];
		uint64_t left = row->size.v - from;

		TRY(read_all(v, v->sums, left < sizeof v->sums ? (size_t)left : sizeof v->sums,
			     row->offset.v + from));
	}
	v->present_seen++;
	c = cur_of(&v->sums[in_batch], sizeof v->sums[0]);
	return cur_u64(&c, ret);
}

static err_t verify_present(struct verify *v, uint64_t block)
{
	uint64_t want, got;

	TRY(next_sum(v, &want));
	TRY(read_all(v, v->block, RAM_BLOCK, v->ram_at + block * RAM_BLOCK));
	got = crc64(v->block, RAM_BLOCK);
	if (got == want)
		return v->sink == NULL ? OK : v->sink->block(v->sink->ctx, block, v->block);
	diag_offset(v->d, v->ram_at + block * RAM_BLOCK);
	return diag_field(v->d, FAIL(ERR_CHECKSUM), "ram", "block",
			  "block %" PRIu64 " (guest RAM byte %#" PRIx64 ") does not match its "
			  "checksum", block, block * RAM_BLOCK);
}

/* A block that the map calls absent must read as zero. Where it is a hole nothing is read. */
static err_t verify_absent(struct verify *v, uint64_t block)
{
	uint64_t at = v->ram_at + block * RAM_BLOCK;
	off_t data = lseek(v->s->fd.raw, (off_t)at, SEEK_DATA);

	if (data < 0 ? errno == ENXIO : (uint64_t)data >= at + RAM_BLOCK)
		return OK;
	TRY(read_all(v, v->block, RAM_BLOCK, at));
	if (v->block[0] == 0 && memcmp(v->block, v->block + 1, RAM_BLOCK - 1) == 0)
		return OK;
	diag_offset(v->d, at);
	return diag_field(v->d, FAIL(ERR_LAYOUT), "ram", "block",
			  "block %" PRIu64 " holds data, but the map says that it is absent", block);
}

err_t snapshot_verify_into(const struct snapshot *s, const struct ram_sink *sink,
			   void (*progress)(void *, uint64_t, uint64_t), void *ctx, struct diag *d)
{
	const struct ram_map *map = image_ram_map(s->image);
	owned_heap struct verify *v = malloc(sizeof *v);
	err_t e;

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	v->s = s;
	v->d = d;
	v->ram_at = image_row(s->image, SECT_RAM, 0)->offset.v;
	v->present_seen = 0;
	v->sink = sink;
	e = verify_sums(v);
	for (uint64_t b = 0; b < map->blocks && !failed(e); b++) {
		e = (map->bits[b / 8] >> (b % 8)) & 1 ? verify_present(v, b) : verify_absent(v, b);
		if (progress != NULL && b % 256 == 255)
			progress(ctx, (b + 1) * RAM_BLOCK, map->blocks * RAM_BLOCK);
	}
	if (failed(e))
		diag_prefix(d, s->path);
	return e;
}

err_t snapshot_verify(const struct snapshot *s, void (*progress)(void *, uint64_t, uint64_t),
		      void *ctx, struct diag *d)
{
	return snapshot_verify_into(s, NULL, progress, ctx, d);
}
