/* SPDX-License-Identifier: Apache-2.0 */
/* One block request, from its header to its status byte (virtio 1.2, 5.2.6). Every number in it is
 * the guest's; whatever is wrong with it is answered with a status, unless there is no room for
 * one. */
#include "machine/virtio/blk_request.h"

#include "base/bytes.h"

/* The request without header and status. */
struct request {
	struct blk *b;
	const struct gmem *m;
	const struct chain *c;
	uint64_t sector;
	uint32_t out_len, in_len; /* data from and to the driver */
	uint32_t filled;          /* of in_len */
};

static uint8_t status_of(err_t e)
{
	return failed(e) ? BLK_S_IOERR : BLK_S_OK;
}

/* Whole sectors within the disk; sectors and bytes cannot wrap once this holds. */
static bool on_disk(const struct blk *b, uint64_t sector, uint64_t sectors)
{
	return range_holds(0, disk_capacity(b->disk).v / DISK_SECTOR, sector, sectors);
}

static bool data_ok(const struct request *r, uint32_t len)
{
	return len % DISK_SECTOR == 0 && len <= BLK_BYTES_MAX &&
	       on_disk(r->b, r->sector, len / DISK_SECTOR);
}

static bool writable(const struct request *r)
{
	return disk_mode(r->b->disk) != DISK_RO;
}

static uint8_t serve_in(struct request *r)
{
	err_t e;
	size_t n;

	if (!data_ok(r, r->in_len))
		return BLK_S_IOERR;
	e = chain_iovecs(r->c, r->m, true, 0, r->in_len, r->b->iov, countof(r->b->iov), &n);
	if (!failed(e))
		e = disk_read(r->b->disk, FOFF(r->sector * DISK_SECTOR), r->b->iov, n);
	if (!failed(e))
		r->filled = r->in_len;
	return status_of(e);
}

static uint8_t serve_out(struct request *r)
{
	err_t e;
	size_t n;

	if (!writable(r) || !data_ok(r, r->out_len))
		return BLK_S_IOERR;
	e = chain_iovecs(r->c, r->m, false, BLK_HEADER, r->out_len, r->b->iov,
			 countof(r->b->iov), &n);
	if (!failed(e))
		e = disk_write(r->b->disk, FOFF(r->sector * DISK_SECTOR), r->b->iov, n);
	return status_of(e);
}

static uint8_t serve_get_id(struct request *r)
{
	uint32_t n = r->in_len < BLK_ID_LEN ? r->in_len : BLK_ID_LEN;

	if (failed(chain_write(r->c, r->m, 0, r->b->id, n)))
		return BLK_S_IOERR;
	r->filled = n;
	return BLK_S_OK;
}

/* struct virtio_blk_discard_write_zeroes. */
struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

/* 5.2.6.2: a flag that is not known, or unmap with a discard, is not supported. */
static uint8_t range_judge(const struct request *r, bool zeroes, const struct range *g)
{
	uint32_t most = zeroes ? BLK_ZEROES_SECTORS_MAX : BLK_DISCARD_SECTORS_MAX;

	if ((g->flags & ~(zeroes ? (uint32_t)BLK_RANGE_UNMAP : 0)) != 0)
		return BLK_S_UNSUPP;
	return g->sectors <= most && on_disk(r->b, g->sector, g->sectors) ? BLK_S_OK : BLK_S_IOERR;
}

static err_t ranges_read(const struct request *r, struct range *ret, uint32_t n)
{
	uint8_t bytes[BLK_RANGES_MAX * BLK_RANGE];
	struct cur c = cur_of(bytes, (size_t)n * BLK_RANGE);

	TRY(chain_read(r->c, r->m, BLK_HEADER, bytes, n * BLK_RANGE));
	for (uint32_t i = 0; i < n; i++) {
		TRY(cur_u64(&c, &ret[i].sector));
		TRY(cur_u32(&c, &ret[i].sectors));
		TRY(cur_u32(&c, &ret[i].flags));
	}
	return OK;
}

static err_t range_apply(struct disk *k, bool zeroes, const struct range *g)
{
	foff_t at = FOFF(g->sector * DISK_SECTOR);
	bytes_t n = BYTES((uint64_t)g->sectors * DISK_SECTOR);

	return zeroes ? disk_zero(k, at, n, (g->flags & BLK_RANGE_UNMAP) != 0)
		      : disk_discard(k, at, n);
}

/* All ranges are judged before the first is touched. */
static uint8_t serve_ranges(struct request *r, bool zeroes)
{
	struct range ranges[BLK_RANGES_MAX];
	uint32_t n = r->out_len / BLK_RANGE;
	err_t e = OK;

	if (!writable(r) || r->out_len % BLK_RANGE != 0 || n == 0 || n > BLK_RANGES_MAX ||
	    failed(ranges_read(r, ranges, n)))
		return BLK_S_IOERR;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t s = range_judge(r, zeroes, &ranges[i]);

		if (s != BLK_S_OK)
			return s;
	}
	for (uint32_t i = 0; i < n && !failed(e); i++)
		e = range_apply(r->b->disk, zeroes, &ranges[i]);
	return status_of(e);
}

static uint8_t serve_type(struct request *r, uint32_t type)
{
	switch (type) {
	case BLK_T_IN:
		return serve_in(r);
	case BLK_T_OUT:
		return serve_out(r);
	case BLK_T_FLUSH:
		return status_of(disk_flush(r->b->disk));
	case BLK_T_GET_ID:
		return serve_get_id(r);
	case BLK_T_DISCARD:
		return serve_ranges(r, false);
	case BLK_T_WRITE_ZEROES:
		return serve_ranges(r, true);
	default:
		return BLK_S_UNSUPP;
	}
}

static err_t header_read(const struct chain *c, const struct gmem *m, uint32_t *ret_type,
			 uint64_t *ret_sector)
{
	uint8_t bytes[BLK_HEADER];
	struct cur h = cur_of(bytes, sizeof bytes);
	uint32_t reserved;

	TRY(chain_read(c, m, 0, bytes, sizeof bytes));
	TRY(cur_u32(&h, ret_type));
	TRY(cur_u32(&h, &reserved));
	return cur_u64(&h, ret_sector);
}

bool blk_serve(void *own, const struct gmem *m, const struct chain *c, uint32_t *ret_written,
	       const char **ret_fault)
{
	struct request r = { .b = own, .m = m, .c = c };
	uint32_t type;
	uint8_t status;

	if (c->read_len < BLK_HEADER || c->write_len < sizeof status) {
		*ret_fault = "a block request without a header or without a status byte";
		return false;
	}
	r.out_len = c->read_len - BLK_HEADER;
	r.in_len = c->write_len - (uint32_t)sizeof status;
	*ret_fault = "a buffer's memory is gone";
	if (failed(header_read(c, m, &type, &r.sector)))
		return false;
	status = serve_type(&r, type);
	if (failed(chain_write(c, m, r.in_len, &status, sizeof status)))
		return false;
	*ret_fault = NULL;
	*ret_written = r.filled + (uint32_t)sizeof status;
	return true;
}
