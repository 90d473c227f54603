/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the block device (virtio 1.2, 5.2.6) and to the entropy device (5.4.6), right and
 * wrong. */
#include "support/test.h"

#include <string.h>

#include "machine/virtio/blk.h"
#include "machine/virtio/rng.h"
#include "support/driver.h"

enum { SECTORS = 4096, SIZE = SECTORS * 512, SEED = 7, DATA = 0x200000 };

static int make(void **state, enum disk_mode mode)
{
	static struct rig r;

	rig_make(&r, DEV_BLK, 1);
	rig_blk(&r, temp_disk(SIZE, mode, SEED));
	rig_go(&r);
	rig_up(&r, 0);
	*state = &r;
	return 0;
}

static int make_rw(void **state) { return make(state, DISK_RW); }
static int make_cow(void **state) { return make(state, DISK_COW); }
static int make_ro(void **state) { return make(state, DISK_RO); }

static int make_rng(void **state)
{
	static struct rig r;

	rig_make(&r, DEV_RNG, 1);
	rig_rng(&r);
	rig_go(&r);
	rig_up(&r, 0);
	*state = &r;
	return 0;
}

static int drop(void **state)
{
	rig_drop(*state);
	return 0;
}

#define IO(t, s, ...) (&(struct blk_io){ (t), (s), (struct buf[]){ __VA_ARGS__ }, \
			sizeof((struct buf[]){ __VA_ARGS__ }) / sizeof(struct buf) })
#define NODATA(t, s) (&(struct blk_io){ .type = (t), .sector = (s) })

static void expect_pattern(struct rig *r, uint64_t at, uint64_t disk_at, uint32_t len)
{
	static uint8_t b[SIZE];

	get(r, at, b, len);
	for (uint32_t i = 0; i < len; i++)
		if (b[i] != pattern(disk_at + i, SEED))
			fail_msg("byte %u is not the disk's", i);
}

static void a_read_gives_the_disk_s_bytes(void **state)
{
	struct rig *r = *state;
	uint32_t len;

	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, 3, { DATA, 4096, true }), &len), BLK_S_OK);
	assert_int_equal(len, 4097);
	expect_pattern(r, DATA, 3 * 512, 4096);
}

static void a_read_into_many_segments(void **state)
{
	struct rig *r = *state;
	struct buf b[40];
	uint32_t len, total = 0, at = 0;

	/* Odd pieces, some empty, one over to high memory. */
	for (size_t i = 0; i < countof(b); i++) {
		b[i] = (struct buf){ DATA + 0x2000 * i, (uint32_t)(i * 37 % 400), true };
		total += b[i].len;
	}
	b[39].at = RIG_HIGH + 5;
	b[38].len += 512 - total % 512;
	total += 512 - total % 512;
	assert_int_equal(rig_blk_io(r, 0, &(struct blk_io){ BLK_T_IN, 100, b, countof(b) }, &len),
			 BLK_S_OK);
	assert_int_equal(len, total + 1);
	for (size_t i = 0; i < countof(b); i++) {
		expect_pattern(r, b[i].at, 100 * 512 + at, b[i].len);
		at += b[i].len;
	}
}

static void a_write_is_read_back(void **state)
{
	struct rig *r = *state;
	static uint8_t out[8192], in[8192];
	uint32_t len;

	for (size_t i = 0; i < sizeof out; i++)
		out[i] = pattern(i, 99);
	put(r, DATA, out, sizeof out);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_OUT, 9, { DATA, 1000, false },
					     { DATA + 1000, 7192, false }), &len), BLK_S_OK);
	assert_int_equal(len, 1);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, 9, { DATA + 0x10000, 8192, true }), &len),
			 BLK_S_OK);
	get(r, DATA + 0x10000, in, sizeof in);
	assert_memory_equal(in, out, sizeof in);
	/* The neighbours are what they were. */
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, 8, { DATA, 512, true }), &len), BLK_S_OK);
	expect_pattern(r, DATA, 8 * 512, 512);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, 25, { DATA, 512, true }), &len), BLK_S_OK);
	expect_pattern(r, DATA, 25 * 512, 512);
}

static void the_last_sector_and_no_further(void **state)
{
	static const struct { uint64_t sector; uint32_t len; uint8_t status; } reads[] = {
		{ SECTORS - 1, 512, BLK_S_OK }, { SECTORS - 1, 1024, BLK_S_IOERR },
		{ SECTORS, 512, BLK_S_IOERR }, { SECTORS, 0, BLK_S_OK },
		{ SECTORS + 1, 0, BLK_S_IOERR }, { UINT64_MAX, 512, BLK_S_IOERR },
		{ UINT64_MAX / 512, 512, BLK_S_IOERR }, { UINT64_MAX / 512 + 1, 512, BLK_S_IOERR },
		{ UINT64_C(1) << 55, 512, BLK_S_IOERR }, { INT64_MAX, 1024, BLK_S_IOERR },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < countof(reads); i++) {
		uint32_t len, want = reads[i].status == BLK_S_OK ? reads[i].len + 1 : 1;

		assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, reads[i].sector,
						     { DATA, reads[i].len, true }), &len),
				 reads[i].status);
		assert_int_equal(len, want);
		assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_OUT, reads[i].sector,
						     { DATA, reads[i].len, false }), &len),
				 reads[i].status);
		assert_int_equal(len, 1);
	}
}

static void a_part_of_a_sector_is_refused(void **state)
{
	struct rig *r = *state;
	uint32_t len;
	uint8_t b = 0x77;

	put(r, DATA, &b, 1);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, 0, { DATA, 511, true }), &len), BLK_S_IOERR);
	assert_int_equal(len, 1);
	get(r, DATA, &b, 1);
	assert_int_equal(b, 0x77); /* and nothing was written but the status */
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_OUT, 0, { DATA, 513, false }), &len), BLK_S_IOERR);
}

/* The same 2 MiB over and over: more than the device said it takes, on a disk that has as much, and
 * no more memory than the guest has. */
static void a_request_larger_than_was_said_is_refused(void **state)
{
	struct buf b[17];
	struct rig r;
	uint32_t len;

	(void)state;
	rig_make(&r, DEV_BLK, 1);
	rig_blk(&r, temp_disk(UINT64_C(64) << 20, DISK_RO, SEED));
	rig_go(&r);
	rig_up(&r, 0);
	for (size_t i = 0; i < countof(b); i++)
		b[i] = (struct buf){ DATA, 2 << 20, true };
	b[15].len = BLK_BYTES_MAX - 15 * (2 << 20);
	b[16].len = 512;
	assert_int_equal(rig_blk_io(&r, 0, &(struct blk_io){ BLK_T_IN, 0, b, 16 }, &len), BLK_S_OK);
	assert_int_equal(len, BLK_BYTES_MAX + 1);
	assert_int_equal(rig_blk_io(&r, 0, &(struct blk_io){ BLK_T_IN, 0, b, 17 }, &len), BLK_S_IOERR);
	assert_int_equal(len, 1);
	rig_drop(&r);
}

static void flush_succeeds(void **state)
{
	uint32_t len;

	assert_int_equal(rig_blk_io(*state, 0, NODATA(BLK_T_FLUSH, 0), &len), BLK_S_OK);
	assert_int_equal(len, 1);
}

static void get_id_fills_what_there_is_room_for(void **state)
{
	struct rig *r = *state;
	uint8_t id[32], all[20] = "spore-3";
	uint32_t len;

	memset(id, 0xAA, sizeof id);
	put(r, DATA, id, sizeof id);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_GET_ID, 0, { DATA, 20, true }), &len), BLK_S_OK);
	assert_int_equal(len, 21);
	get(r, DATA, id, 21);
	assert_memory_equal(id, all, 20);
	assert_int_equal(id[20], 0xAA);
	put(r, DATA, memset(id, 0xAA, sizeof id), sizeof id);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_GET_ID, 0, { DATA, 5, true }), &len), BLK_S_OK);
	assert_int_equal(len, 6);
	get(r, DATA, id, 6);
	assert_memory_equal(id, all, 5);
	assert_int_equal(id[5], 0xAA);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_GET_ID, 0, { DATA, 32, true }), &len), BLK_S_OK);
	assert_int_equal(len, 21);
}

static void a_type_that_is_not_known_is_not_supported(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 0x80000000, 0xFFFFFFFF };
	struct rig *r = *state;
	uint32_t len;

	for (size_t i = 0; i < countof(types); i++) {
		assert_int_equal(rig_blk_io(r, 0, IO(types[i], 0, { DATA, 512, true }), &len),
				 BLK_S_UNSUPP);
		assert_int_equal(len, 1);
	}
}

struct span { uint64_t sector; uint32_t sectors, flags; };

static uint8_t ranges(struct rig *r, uint32_t type, const struct span *s, uint32_t n)
{
	put(r, DATA, s, n * sizeof *s);
	return rig_blk_io(r, 0, IO(type, 0, { DATA, (uint32_t)(n * sizeof *s), false }), NULL);
}

static void expect_zero(struct rig *r, uint64_t sector, uint32_t sectors, bool zero)
{
	static uint8_t b[SIZE];

	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_IN, sector, { DATA, sectors * 512, true }), NULL),
			 BLK_S_OK);
	get(r, DATA, b, sectors * 512);
	for (uint32_t i = 0; i < sectors * 512; i++)
		assert_int_equal(b[i], zero ? 0 : pattern(sector * 512 + i, SEED));
}

static void zeroes_are_written_where_they_were_asked_for(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ranges(r, BLK_T_WRITE_ZEROES, (struct span[]){ { 10, 5, 0 },
			 { 300, 700, 1 } }, 2), BLK_S_OK);
	expect_zero(r, 10, 5, true);
	expect_zero(r, 300, 700, true);
	expect_zero(r, 0, 10, false);
	expect_zero(r, 15, 285, false);
	expect_zero(r, 1000, 100, false);
}

static void discard_succeeds(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ranges(r, BLK_T_DISCARD, (struct span[]){ { 0, 8, 0 }, { 1024, 1024, 0 } }, 2),
			 BLK_S_OK);
	expect_zero(r, 8, 1016, false);
	expect_zero(r, 2048, 100, false);
}

static void ranges_that_are_wrong_change_nothing(void **state)
{
	static const struct { uint32_t type; struct span s; uint8_t status; } bad[] = {
		{ BLK_T_WRITE_ZEROES, { SECTORS, 1, 0 }, BLK_S_IOERR },
		{ BLK_T_WRITE_ZEROES, { SECTORS - 1, 2, 0 }, BLK_S_IOERR },
		{ BLK_T_WRITE_ZEROES, { UINT64_MAX, 2, 0 }, BLK_S_IOERR },
		{ BLK_T_WRITE_ZEROES, { 0, UINT32_MAX, 0 }, BLK_S_IOERR },
		{ BLK_T_WRITE_ZEROES, { 0, 1, 2 }, BLK_S_UNSUPP },
		{ BLK_T_DISCARD, { 0, 1, 1 }, BLK_S_UNSUPP },
		{ BLK_T_DISCARD, { 0, 1, 0x80000000 }, BLK_S_UNSUPP },
		{ BLK_T_DISCARD, { SECTORS - 1, 2, 0 }, BLK_S_IOERR },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < countof(bad); i++) {
		/* A good one in front of it is not done either. */
		struct span two[] = { { 0, 256, 0 }, bad[i].s };

		assert_int_equal(ranges(r, bad[i].type, two, 2), bad[i].status);
		expect_zero(r, 0, 256, false);
	}
	assert_int_equal(ranges(r, BLK_T_WRITE_ZEROES, (struct span[17]){ { 0, 1, 0 } }, 17),
			 BLK_S_IOERR);
	assert_int_equal(rig_blk_io(r, 0, NODATA(BLK_T_DISCARD, 0), NULL), BLK_S_IOERR);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_DISCARD, 0, { DATA, 17, false }), NULL),
			 BLK_S_IOERR);
	expect_zero(r, 0, 256, false);
}

static void a_read_only_disk_stays_as_it_is(void **state)
{
	struct rig *r = *state;
	uint32_t len;

	assert_true((r->features & (1u << BLK_F_RO)) != 0);
	assert_int_equal(r->features & (1u << BLK_F_DISCARD | 1u << BLK_F_WRITE_ZEROES), 0);
	assert_int_equal(rig_blk_io(r, 0, IO(BLK_T_OUT, 0, { DATA, 512, false }), &len), BLK_S_IOERR);
	assert_int_equal(len, 1);
	assert_int_equal(ranges(r, BLK_T_DISCARD, (struct span[]){ { 0, 8, 0 } }, 1), BLK_S_IOERR);
	assert_int_equal(ranges(r, BLK_T_WRITE_ZEROES, (struct span[]){ { 0, 8, 0 } }, 1),
			 BLK_S_IOERR);
	assert_int_equal(rig_blk_io(r, 0, NODATA(BLK_T_FLUSH, 0), &len), BLK_S_OK);
	expect_zero(r, 0, 64, false);
}

static uint8_t status_at(struct rig *r, uint64_t at)
{
	uint8_t s;

	get(r, at, &s, 1);
	return s;
}

/* 2.7.4.1: a driver may cut a request into buffers wherever it likes. */
static void header_data_and_status_may_be_cut_anywhere(void **state)
{
	struct rig *r = *state;
	struct { uint32_t type, reserved; uint64_t sector; } h = { BLK_T_IN, 0, 2 };

	for (uint32_t cut = 1; cut < 16; cut++) {
		uint64_t status = DATA + 512;
		/* The rest of the data and the status are one buffer. */
		struct buf b[] = { { 0x100000, cut, false }, { 0x100000 + cut, 16 - cut, false },
				   { DATA, 34 * cut, true },
				   { DATA + 34 * cut, 513 - 34 * cut, true } };
		uint32_t id, len;

		put(r, 0x100000, &h, sizeof h);
		put(r, status, &(uint8_t){ 0xEE }, 1);
		rig_send(r, 0, 0, b, countof(b));
		rig_take(r, 0, &id, &len);
		assert_int_equal(len, 513);
		assert_int_equal(status_at(r, status), BLK_S_OK);
		expect_pattern(r, DATA, 1024, 512);
	}
}

static void expect_reset_wanted(struct rig *r, const struct buf *b, size_t n, const char *why)
{
	rig_up(r, 0);
	rig_send(r, 0, 0, b, n);
	rig_wait_status(r, 64);
	assert_string_equal(virtio_fault(r->dev), why);
	assert_int_equal(get16(r, r->ring[0].device + 2), 0);
}

static void a_request_that_cannot_be_answered_breaks_the_queue(void **state)
{
	static const char why[] = "a block request without a header or without a status byte";
	struct rig *r = *state;

	expect_reset_wanted(r, (struct buf[]){ { DATA, 15, false }, { DATA, 1, true } }, 2, why);
	expect_reset_wanted(r, (struct buf[]){ { DATA, 16, false } }, 1, why);
	expect_reset_wanted(r, (struct buf[]){ { DATA, 16, true } }, 1, why);
	expect_reset_wanted(r, (struct buf[]){ { DATA, 16, false }, { DATA, 0, true } }, 2, why);
	expect_reset_wanted(r, (struct buf[]){ { DATA, 0, false } }, 1, why);
}

/* CVE-2021-20255 and its kind: a device's own registers are no place for its data. */
static void data_never_go_to_a_device_window(void **state)
{
	struct rig *r = *state;
	struct { uint32_t type, reserved; uint64_t sector; } h = { BLK_T_IN, 0, 0 };

	put(r, 0x100000, &h, sizeof h);
	expect_reset_wanted(r, (struct buf[]){ { 0x100000, 16, false }, { 0xC0001000, 512, true },
					       { 0x100100, 1, true } }, 3,
			    "a buffer lies outside RAM");
}

static void an_indirect_request_is_served(void **state)
{
	struct rig *r = *state;
	struct { uint32_t type, reserved; uint64_t sector; } h = { BLK_T_IN, 0, 7 };
	struct desc16 t[] = { { 0x100000, 16, D_NEXT, 1 }, { DATA, 1024, D_NEXT | D_WRITE, 2 },
			      { DATA + 1024, 1, D_WRITE, 0 } };
	uint32_t id, len;

	put(r, 0x100000, &h, sizeof h);
	put(r, 0x110000, t, sizeof t);
	put_desc(r, 0, 4, (struct desc16){ 0x110000, sizeof t, D_INDIRECT, 0 });
	rig_avail(r, 0, 4);
	rig_publish(r, 0);
	rig_kick(r, 0);
	rig_take(r, 0, &id, &len);
	assert_int_equal(id, 4);
	assert_int_equal(len, 1025);
	assert_int_equal(status_at(r, DATA + 1024), BLK_S_OK);
	expect_pattern(r, DATA, 7 * 512, 1024);
}

static void every_queue_is_served(void **state)
{
	struct rig r;

	(void)state;
	rig_make(&r, DEV_BLK, 8);
	rig_blk(&r, temp_disk(SIZE, DISK_RW, SEED));
	rig_go(&r);
	rig_up(&r, 0);
	assert_true((r.features & (1u << BLK_F_MQ)) != 0);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t q = 0; q < 8; q++) {
			uint64_t at = DATA + 0x1000u * q;

			assert_int_equal(rig_blk_io(&r, q, IO(BLK_T_IN, q * 8, { at, 4096, true }),
						    NULL), BLK_S_OK);
			expect_pattern(&r, at, q * 4096, 4096);
		}
	}
	rig_drop(&r);
}

/* One kick for a full ring, with and without event indexes; every head comes back once. */
static void a_full_ring_comes_back_whole(void **state)
{
	struct rig *r = *state;
	struct { uint32_t type, reserved; uint64_t sector; } h = { BLK_T_FLUSH, 0, 0 };

	for (int event = 0; event < 2; event++) {
		bool seen[256] = { false };

		rig_up(r, event ? 0 : F_EVENT_IDX);
		put(r, 0x100000, &h, sizeof h);
		for (uint16_t i = 0; i < 256; i += 2) {
			rig_chain(r, 0, i, (struct buf[]){ { 0x100000, 16, false },
							   { 0x101000u + i, 1, true } }, 2);
			rig_avail(r, 0, i);
		}
		rig_publish(r, 0);
		rig_kick(r, 0);
		for (uint16_t i = 0; i < 128; i++) {
			uint32_t id, len;

			rig_take(r, 0, &id, &len);
			assert_in_range(id, 0, 255);
			assert_false(seen[id]);
			seen[id] = true;
			assert_int_equal(len, 1);
		}
	}
}

static void entropy_fills_its_buffers(void **state)
{
	struct rig *r = *state;
	struct buf b[] = { { DATA, 100, true }, { RIG_HIGH, 200, true } };
	uint8_t got[200], zero[200] = { 0 };
	uint32_t id, len;

	put(r, DATA, zero, 101);
	rig_send(r, 0, 0, b, 2);
	rig_take(r, 0, &id, &len);
	assert_int_equal(len, 300);
	get(r, DATA, got, 101);
	assert_memory_not_equal(got, zero, 100);
	assert_int_equal(got[100], 0);
	get(r, RIG_HIGH, got, 200);
	assert_memory_not_equal(got, zero, 200);
}

/* However often a request names the same memory, it gets 64 KiB. */
static void entropy_is_bounded_per_request(void **state)
{
	struct rig *r = *state;
	struct buf b[255];
	uint32_t id, len;

	for (size_t i = 0; i < countof(b); i++)
		b[i] = (struct buf){ DATA, 1 << 20, true };
	rig_send(r, 0, 0, b, countof(b));
	rig_take(r, 0, &id, &len);
	assert_int_equal(len, RNG_REQUEST_MAX);
}

static void entropy_reads_nothing_and_goes_on(void **state)
{
	struct rig *r = *state;
	struct buf b[] = { { DATA, 100, false }, { DATA + 100, 8, true } };
	uint8_t got[100], zero[100] = { 0 };
	uint32_t id, len;

	put(r, DATA, zero, 100);
	rig_send(r, 0, 0, b, 1);
	rig_take(r, 0, &id, &len);
	assert_int_equal(len, 0);
	rig_send(r, 0, 0, b, 2);
	rig_take(r, 0, &id, &len);
	assert_int_equal(len, 8);
	get(r, DATA, got, 100);
	assert_memory_equal(got, zero, 100);
}

int main(void)
{
#define RW(f) cmocka_unit_test_setup_teardown(f, make_rw, drop)
#define COW(f) { "cow: " #f, f, make_cow, drop, NULL }
#define RO(f) cmocka_unit_test_setup_teardown(f, make_ro, drop)
#define RNG(f) cmocka_unit_test_setup_teardown(f, make_rng, drop)
	static const struct CMUnitTest tests[] = {
		RW(a_read_gives_the_disk_s_bytes),
		RW(a_read_into_many_segments),
		RW(a_write_is_read_back),
		RW(the_last_sector_and_no_further),
		RW(a_part_of_a_sector_is_refused),
		RW(flush_succeeds),
		RW(get_id_fills_what_there_is_room_for),
		RW(a_type_that_is_not_known_is_not_supported),
		RW(zeroes_are_written_where_they_were_asked_for),
		RW(discard_succeeds),
		RW(ranges_that_are_wrong_change_nothing),
		RW(header_data_and_status_may_be_cut_anywhere),
		RW(a_request_that_cannot_be_answered_breaks_the_queue),
		RW(data_never_go_to_a_device_window),
		RW(an_indirect_request_is_served),
		RW(a_full_ring_comes_back_whole),
		COW(a_read_into_many_segments),
		COW(a_write_is_read_back),
		COW(the_last_sector_and_no_further),
		COW(zeroes_are_written_where_they_were_asked_for),
		COW(discard_succeeds),
		COW(ranges_that_are_wrong_change_nothing),
		RO(a_read_gives_the_disk_s_bytes),
		RO(a_read_only_disk_stays_as_it_is),
		cmocka_unit_test(a_request_larger_than_was_said_is_refused),
		cmocka_unit_test(every_queue_is_served),
		RNG(entropy_fills_its_buffers),
		RNG(entropy_is_bounded_per_request),
		RNG(entropy_reads_nothing_and_goes_on),
	};
#undef RW
#undef COW
#undef RO
#undef RNG
	return cmocka_run_group_tests_name("blk", tests, NULL, NULL);
}
