/* SPDX-License-Identifier: Apache-2.0 */
/* A split ring in the hands of a driver that means harm (virtio 1.2, 2.7). No device: the rings are
 * filled by hand and popped by hand. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "machine/virtio/queue.h"

enum { NEXT = 1, WRITE = 2, INDIRECT = 4, SIZE = 8 };

#define RAM_LEN  KIB(64)
#define HIGH     (RAM_LEN * 4)
#define DESC     UINT64_C(0x1000)
#define DRIVER   UINT64_C(0x2000)
#define DEVICE   UINT64_C(0x3000)
#define TABLE    UINT64_C(0x4000)

/* Two regions that touch at RAM_LEN / 2, swapped in the host. */
static _Alignas(4096) uint8_t ram[RAM_LEN];
static const struct gmem mem = {
	ram, 2,
	{ { GPA(0), BYTES(RAM_LEN / 2), BYTES(RAM_LEN / 2), 0 },
	  { GPA(RAM_LEN / 2), BYTES(RAM_LEN / 2), BYTES(0), 1 } },
};

struct fixture { struct virtq q; struct chain c; };

static struct fixture fresh(void)
{
	memset(ram, 0, sizeof ram);
	return (struct fixture){
		.q = { .mem = &mem, .indirect = true,
		       .rings = { SIZE, GPA(DESC), GPA(DRIVER), GPA(DEVICE), false } } };
}

static void put(uint64_t at, const void *bytes, size_t n)
{
	assert_int_equal(gmem_copy_out(&mem, GPA(at), bytes, n).code, ERR_NONE);
}

static uint16_t get16(uint64_t at)
{
	uint16_t v = 0;

	assert_int_equal(gmem_copy_in(&mem, GPA(at), &v, 2).code, ERR_NONE);
	return v;
}

static void put16(uint64_t at, uint16_t v)
{
	put(at, &v, 2);
}

static void desc_at(uint64_t table, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
		    uint16_t next)
{
	struct { uint64_t addr; uint32_t len; uint16_t flags, next; } d = { addr, len, flags, next };

	put(table + 16u * i, &d, sizeof d);
}

static void desc(uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	desc_at(DESC, i, addr, len, flags, next);
}

/* Publishes one head. */
static void offer(uint16_t head)
{
	uint16_t idx = get16(DRIVER + 2);

	put16(DRIVER + 4 + 2u * (idx % SIZE), head);
	put16(DRIVER + 2, (uint16_t)(idx + 1));
}

static void expect_broken(struct fixture *f, const char *why)
{
	uint16_t before = f->q.next_avail;

	assert_int_equal(virtq_pop(&f->q, &f->c), VIRTQ_BROKEN);
	assert_string_equal(f->q.fault, why);
	assert_int_equal(f->q.next_avail, before);
	/* And stays so. */
	assert_int_equal(virtq_pop(&f->q, &f->c), VIRTQ_BROKEN);
}

static void a_chain_is_taken_in_order(void **state)
{
	struct fixture f = fresh();

	(void)state;
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_EMPTY);
	desc(5, 0x5000, 16, NEXT, 2);
	desc(2, 0x6000, 512, NEXT, 7);
	desc(7, 0x7000, 100, NEXT | WRITE, 0);
	desc(0, 0x7100, 1, WRITE, 3);
	offer(5);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.head, 5);
	assert_int_equal(f.c.n_read, 2);
	assert_int_equal(f.c.n_write, 2);
	assert_int_equal(f.c.read_len, 528);
	assert_int_equal(f.c.write_len, 101);
	assert_int_equal(f.c.seg[1].at.v, 0x6000);
	assert_int_equal(f.c.seg[3].at.v, 0x7100);
	assert_int_equal(f.c.seg[3].len, 1);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_EMPTY);
}

static void a_head_outside_the_table_breaks_it(void **state)
{
	struct fixture f = fresh();

	(void)state;
	offer(SIZE);
	expect_broken(&f, "a chain that begins outside its table");
	f = fresh();
	offer(0xFFFF);
	expect_broken(&f, "a chain that begins outside its table");
}

static void a_successor_outside_the_table_breaks_it(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 1, NEXT, SIZE);
	offer(0);
	expect_broken(&f, "a successor outside its table");
}

static void a_successor_counts_only_with_its_flag(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 1, 0, 0xFFFF);
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.n_read, 1);
}

static void a_loop_breaks_it(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 1, NEXT, 1);
	desc(1, 0x5000, 1, NEXT, 0);
	offer(0);
	expect_broken(&f, "a chain that loops");
	/* Of empty buffers too, which add nothing that could run out. */
	f = fresh();
	desc(3, 0, 0, NEXT, 3);
	offer(3);
	expect_broken(&f, "a chain that loops");
}

static void a_chain_may_be_as_long_as_its_queue(void **state)
{
	struct fixture f = fresh();

	(void)state;
	for (uint16_t i = 0; i < SIZE; i++)
		desc(i, 0x5000, 1, i + 1 < SIZE ? NEXT : 0, (uint16_t)(i + 1));
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.n_read, SIZE);
}

static void an_empty_buffer_is_skipped(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, UINT64_MAX, 0, NEXT, 1); /* wherever it points */
	desc(1, 0x5000, 4, NEXT, 2);
	desc(2, RAM_LEN + 5, 0, WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.n_read, 1);
	assert_int_equal(f.c.n_write, 0);
	assert_int_equal(f.c.seg[0].at.v, 0x5000);
}

static void a_buffer_outside_ram_breaks_it(void **state)
{
	static const struct { uint64_t at; uint32_t len; } bad[] = {
		{ RAM_LEN, 1 }, { RAM_LEN - 1, 2 }, { 0, RAM_LEN + 1 }, { UINT64_MAX, 1 },
		{ UINT64_MAX - 1, 2 }, { UINT64_MAX - 100, UINT32_MAX }, { HIGH, 16 },
		{ 0x5000, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct fixture f = fresh();

		desc(0, bad[i].at, bad[i].len, i % 2 ? WRITE : 0, 0);
		offer(0);
		expect_broken(&f, "a buffer lies outside RAM");
	}
}

static void a_buffer_over_two_regions_is_cut_at_the_seam(void **state)
{
	struct fixture f = fresh();
	struct iovec iov[4];
	size_t n;

	(void)state;
	desc(0, RAM_LEN / 2 - 10, 30, WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(chain_iovecs(&f.c, &mem, true, 4, 20, iov, 4, &n).code, ERR_NONE);
	assert_int_equal(n, 2);
	assert_ptr_equal(iov[0].iov_base, ram + RAM_LEN - 6);
	assert_int_equal(iov[0].iov_len, 6);
	assert_ptr_equal(iov[1].iov_base, ram);
	assert_int_equal(iov[1].iov_len, 14);
}

static void a_readable_buffer_behind_a_writable_one_breaks_it(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 1, NEXT | WRITE, 1);
	desc(1, 0x5000, 1, 0, 0);
	offer(0);
	expect_broken(&f, "a readable buffer follows a writable one");
}

/* RAM of a size that only the sum's arithmetic can see: nothing of it is touched. */
static void lengths_that_do_not_add_up_break_it(void **state)
{
	static const struct gmem vast = { ram, 1, { { GPA(0), BYTES(GIB(8)), BYTES(0), 0 } } };
	struct fixture f = fresh();

	(void)state;
	memset(ram, 0, sizeof ram);
	f.q.mem = &vast;
	memcpy(ram + DESC, (uint64_t[]){ 0, 0x0001000180000000, 0, 0x0000000280000000 }, 32);
	memcpy(ram + DRIVER, (uint16_t[]){ 0, 1, 0 }, 6);
	expect_broken(&f, "a chain of more than 4 GiB");
}

/* CVE-2016-5403: no more in the ring than the ring holds. */
static void an_index_too_far_ahead_breaks_it(void **state)
{
	struct fixture f = fresh();
	uint16_t n;

	(void)state;
	put16(DRIVER + 2, SIZE);
	assert_true(virtq_waiting(&f.q, &n));
	assert_int_equal(n, SIZE);
	put16(DRIVER + 2, SIZE + 1);
	expect_broken(&f, "the available index is ahead by more than the queue's size");
	/* Backwards is far ahead. */
	f = fresh();
	f.q.next_avail = 3;
	put16(DRIVER + 2, 2);
	expect_broken(&f, "the available index is ahead by more than the queue's size");
}

static void what_was_taken_is_a_copy(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 64, NEXT, 1);
	desc(1, 0x6000, 64, WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	desc(0, UINT64_MAX, UINT32_MAX, NEXT, SIZE);
	desc(1, UINT64_MAX, UINT32_MAX, NEXT, 0);
	put16(DRIVER + 4, 0xFFFF);
	assert_int_equal(f.c.seg[0].at.v, 0x5000);
	assert_int_equal(f.c.seg[1].len, 64);
	assert_true(virtq_push(&f.q, f.c.head, 64));
	assert_int_equal(get16(DEVICE + 2), 1);
	assert_int_equal(get16(DEVICE + 4), 0);
	assert_int_equal(get16(DEVICE + 8), 64);
}

static void an_indirect_table_is_the_chain(void **state)
{
	struct fixture f = fresh();

	(void)state;
	/* 2.7.5.3.2: that it is marked as writable is ignored. */
	desc(3, TABLE, 3 * 16, INDIRECT | WRITE, 99);
	desc_at(TABLE, 0, 0x5000, 16, NEXT, 2);
	desc_at(TABLE, 2, 0x6000, 32, NEXT | WRITE, 1);
	desc_at(TABLE, 1, 0x7000, 1, WRITE, 0);
	offer(3);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.head, 3);
	assert_int_equal(f.c.n_read, 1);
	assert_int_equal(f.c.n_write, 2);
	assert_int_equal(f.c.seg[2].at.v, 0x7000);
}

static void an_indirect_table_may_end_a_chain(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 16, NEXT, 1);
	desc(1, TABLE, 16, INDIRECT, 0);
	desc_at(TABLE, 0, 0x6000, 8, WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
	assert_int_equal(f.c.n_read, 1);
	assert_int_equal(f.c.n_write, 1);
}

static void indirect_tables_that_break_it(void **state)
{
	static const struct {
		uint64_t at; uint32_t len; uint16_t flags; const char *why;
	} bad[] = {
		{ TABLE, 16, INDIRECT | NEXT, "an indirect table with a successor" },
		{ TABLE, 0, INDIRECT, "an indirect table of the wrong size" },
		{ TABLE, 15, INDIRECT, "an indirect table of the wrong size" },
		{ TABLE, 17, INDIRECT, "an indirect table of the wrong size" },
		{ TABLE, 16 * (SIZE + 1), INDIRECT, "an indirect table of the wrong size" },
		{ TABLE, 0xFFFFFFF0, INDIRECT, "an indirect table of the wrong size" },
		{ RAM_LEN - 8, 16, INDIRECT, "an indirect table outside RAM" },
		{ UINT64_MAX - 7, 16, INDIRECT, "an indirect table outside RAM" },
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct fixture f = fresh();

		desc(0, bad[i].at, bad[i].len, bad[i].flags, 1);
		offer(0);
		expect_broken(&f, bad[i].why);
	}
}

static void what_an_indirect_table_may_not_hold(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, TABLE, 32, INDIRECT, 0);
	desc_at(TABLE, 0, TABLE, 16, INDIRECT, 0);
	offer(0);
	expect_broken(&f, "an indirect table in an indirect table");
	f = fresh();
	desc(0, TABLE, 32, INDIRECT, 0);
	desc_at(TABLE, 0, 0x5000, 16, NEXT, 2); /* inside the queue, outside this table */
	offer(0);
	expect_broken(&f, "a successor outside its table");
	f = fresh();
	desc(0, TABLE, 32, INDIRECT, 0);
	desc_at(TABLE, 0, 0x5000, 16, NEXT, 1);
	desc_at(TABLE, 1, 0x5000, 16, NEXT, 0);
	offer(0);
	expect_broken(&f, "a chain that loops");
	f = fresh();
	f.q.indirect = false;
	desc(0, TABLE, 16, INDIRECT, 0);
	offer(0);
	expect_broken(&f, "an indirect table that was not negotiated");
}

static void chain_and_table_together_are_no_longer_than_the_queue(void **state)
{
	struct fixture f = fresh();

	(void)state;
	desc(0, 0x5000, 1, NEXT, 1);
	desc(1, TABLE, 16 * SIZE, INDIRECT, 0);
	for (uint16_t i = 0; i < SIZE; i++)
		desc_at(TABLE, i, 0x5000, 1, i + 1 < SIZE ? NEXT : 0, (uint16_t)(i + 1));
	offer(0);
	expect_broken(&f, "a chain longer than its queue");
}

static void an_interrupt_is_not_wanted_when_the_flag_says_so(void **state)
{
	struct fixture f = fresh();
	bool wanted = true;

	(void)state;
	assert_true(virtq_interrupt(&f.q, &wanted));
	assert_false(wanted); /* nothing was given back */
	assert_true(virtq_push(&f.q, 0, 0));
	put16(DRIVER, 1);
	assert_true(virtq_interrupt(&f.q, &wanted));
	assert_false(wanted);
	put16(DRIVER, 0);
	assert_true(virtq_interrupt(&f.q, &wanted)); /* still owed */
	assert_true(wanted);
	assert_true(virtq_interrupt(&f.q, &wanted));
	assert_false(wanted);
}

#define USED_EVENT  (DRIVER + 4 + 2 * SIZE)
#define AVAIL_EVENT (DEVICE + 4 + 8 * SIZE)

/* 2.7.10, against its own words: after the entry that is named, once, wrapping included. */
static void an_interrupt_follows_the_entry_that_was_named(void **state)
{
	(void)state;
	for (uint32_t start = 65530; start < 65530 + 12; start++) {
		for (uint16_t ahead = 0; ahead < SIZE; ahead++) {
			struct fixture f = fresh();
			uint16_t event = (uint16_t)(start + ahead);

			f.q.rings.event_idx = true;
			f.q.next_used = (uint16_t)start;
			put16(USED_EVENT, event);
			for (uint16_t i = 0; i < SIZE; i++) {
				bool wanted;

				assert_true(virtq_push(&f.q, 0, 0));
				assert_true(virtq_interrupt(&f.q, &wanted));
				assert_int_equal(wanted, i == ahead);
			}
		}
	}
}

/* Several at once, as a device gives back that does not ask after each. */
static void an_interrupt_covers_all_that_was_given_back(void **state)
{
	(void)state;
	for (uint16_t event = 0; event < 6; event++) {
		struct fixture f = fresh();
		bool wanted;

		f.q.rings.event_idx = true;
		put16(USED_EVENT, event);
		for (uint16_t i = 0; i < 3; i++)
			assert_true(virtq_push(&f.q, 0, 0));
		assert_true(virtq_interrupt(&f.q, &wanted));
		assert_int_equal(wanted, event < 3);
	}
}

/* A driver that only polled for a long time, and then wants to hear of the next one. */
static void no_interrupt_is_lost_after_65536_unwanted_ones(void **state)
{
	struct fixture f = fresh();
	bool wanted;

	(void)state;
	f.q.rings.event_idx = true;
	for (uint32_t i = 0; i < 65536; i++) {
		put16(USED_EVENT, (uint16_t)(f.q.next_used + 1000));
		assert_true(virtq_push(&f.q, 0, 0));
		assert_true(virtq_interrupt(&f.q, &wanted));
		assert_false(wanted);
	}
	put16(USED_EVENT, f.q.next_used);
	assert_true(virtq_push(&f.q, 0, 0));
	assert_true(virtq_interrupt(&f.q, &wanted));
	assert_true(wanted);
}

static void rearming_names_the_next_entry_and_looks_again(void **state)
{
	struct fixture f = fresh();
	bool more = true;

	(void)state;
	f.q.rings.event_idx = true;
	f.q.next_avail = 41;
	put16(DRIVER + 2, 41);
	assert_true(virtq_rearm(&f.q, &more));
	assert_false(more);
	assert_int_equal(get16(AVAIL_EVENT), 41);
	put16(DRIVER + 2, 42);
	assert_true(virtq_rearm(&f.q, &more));
	assert_true(more);
	/* Without event indexes nothing is written behind the ring. */
	f = fresh();
	f.q.next_avail = 41;
	assert_true(virtq_rearm(&f.q, &more));
	assert_int_equal(get16(AVAIL_EVENT), 0);
}

static void indexes_wrap(void **state)
{
	struct fixture f = fresh();

	(void)state;
	f.q.next_avail = f.q.next_used = 65534;
	put16(DRIVER + 2, 65534);
	for (uint16_t i = 0; i < 4; i++) {
		desc(i, 0x5000, i + 1u, WRITE, 0);
		offer(i);
	}
	for (uint16_t i = 0; i < 4; i++) {
		assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_CHAIN);
		assert_int_equal(f.c.head, i);
		assert_true(virtq_push(&f.q, i, i));
	}
	assert_int_equal(virtq_pop(&f.q, &f.c), VIRTQ_EMPTY);
	assert_int_equal(get16(DEVICE + 2), 2);
	assert_int_equal(get16(DEVICE + 4 + 8 * (65535 % SIZE)), 1);
}

/* 2.7: the three parts may lie over each other and over the buffers; the guest gets what it asked
 * for, and nothing outside its RAM changes (ASan watches). */
static void overlapping_rings_hurt_only_the_guest(void **state)
{
	struct fixture f = fresh();

	(void)state;
	for (uint32_t round = 0; round < 2000; round++) {
		uint16_t idx;

		f.q.rings = (struct virtq_rings){ SIZE, GPA(DESC), GPA(DESC + 2 * (round % 40)),
						  GPA(DESC + 4 * (round % 30)), round % 2 };
		f.q.fault = NULL;
		idx = (uint16_t)(f.q.next_avail + 1);
		put16(f.q.rings.driver.v + 2, idx);
		if (virtq_pop(&f.q, &f.c) == VIRTQ_CHAIN) {
			bool b;

			assert_true(f.c.n_read + f.c.n_write <= SIZE);
			(void)!virtq_push(&f.q, f.c.head, round);
			(void)!virtq_interrupt(&f.q, &b);
			(void)!virtq_rearm(&f.q, &b);
		}
	}
}

static void rings_that_cannot_be(void **state)
{
	static const struct virtq_rings good = { 256, GPA(0x1000), GPA(0x2000), GPA(0x3000), true };
	static const struct { struct virtq_rings r; const char *part; } bad[] = {
		{ { 0, GPA(0x1000), GPA(0x2000), GPA(0x3000), 0 }, "queue.size" },
		{ { 3, GPA(0x1000), GPA(0x2000), GPA(0x3000), 0 }, "queue.size" },
		{ { 512, GPA(0x1000), GPA(0x2000), GPA(0x3000), 0 }, "queue.size" },
		{ { 8, GPA(0x1008), GPA(0x2000), GPA(0x3000), 0 }, "queue.desc" },
		{ { 8, GPA(RAM_LEN - 112), GPA(0x2000), GPA(0x3000), 0 }, "queue.desc" },
		{ { 8, GPA(RAM_LEN / 2 - 64), GPA(0x2000), GPA(0x3000), 0 }, "queue.desc" },
		{ { 8, GPA(UINT64_MAX - 15), GPA(0x2000), GPA(0x3000), 0 }, "queue.desc" },
		{ { 8, GPA(0x1000), GPA(0x2001), GPA(0x3000), 0 }, "queue.driver" },
		{ { 8, GPA(0x1000), GPA(RAM_LEN - 18), GPA(0x3000), 0 }, "queue.driver" },
		{ { 8, GPA(0x1000), GPA(RAM_LEN - 20), GPA(0x3000), 1 }, "queue.driver" },
		{ { 8, GPA(0x1000), GPA(0x2000), GPA(0x3002), 0 }, "queue.device" },
		{ { 8, GPA(0x1000), GPA(0x2000), GPA(RAM_LEN - 64), 0 }, "queue.device" },
		{ { 8, GPA(0x1000), GPA(0x2000), GPA(RAM_LEN - 68), 1 }, "queue.device" },
	};

	(void)state;
	assert_null(virtq_rings_fault(&mem, &good));
	/* The event index lies behind a ring only when it was negotiated. */
	assert_null(virtq_rings_fault(&mem, &(struct virtq_rings){
		8, GPA(0x1000), GPA(RAM_LEN - 20), GPA(0x3000), false }));
	for (size_t i = 0; i < countof(bad); i++) {
		const char *part = virtq_rings_fault(&mem, &bad[i].r);

		assert_non_null(part);
		assert_string_equal(part, bad[i].part);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_taken_in_order),
		cmocka_unit_test(a_head_outside_the_table_breaks_it),
		cmocka_unit_test(a_successor_outside_the_table_breaks_it),
		cmocka_unit_test(a_successor_counts_only_with_its_flag),
		cmocka_unit_test(a_loop_breaks_it),
		cmocka_unit_test(a_chain_may_be_as_long_as_its_queue),
		cmocka_unit_test(an_empty_buffer_is_skipped),
		cmocka_unit_test(a_buffer_outside_ram_breaks_it),
		cmocka_unit_test(a_buffer_over_two_regions_is_cut_at_the_seam),
		cmocka_unit_test(a_readable_buffer_behind_a_writable_one_breaks_it),
		cmocka_unit_test(lengths_that_do_not_add_up_break_it),
		cmocka_unit_test(an_index_too_far_ahead_breaks_it),
		cmocka_unit_test(what_was_taken_is_a_copy),
		cmocka_unit_test(an_indirect_table_is_the_chain),
		cmocka_unit_test(an_indirect_table_may_end_a_chain),
		cmocka_unit_test(indirect_tables_that_break_it),
		cmocka_unit_test(what_an_indirect_table_may_not_hold),
		cmocka_unit_test(chain_and_table_together_are_no_longer_than_the_queue),
		cmocka_unit_test(an_interrupt_is_not_wanted_when_the_flag_says_so),
		cmocka_unit_test(an_interrupt_follows_the_entry_that_was_named),
		cmocka_unit_test(an_interrupt_covers_all_that_was_given_back),
		cmocka_unit_test(no_interrupt_is_lost_after_65536_unwanted_ones),
		cmocka_unit_test(rearming_names_the_next_entry_and_looks_again),
		cmocka_unit_test(indexes_wrap),
		cmocka_unit_test(overlapping_rings_hurt_only_the_guest),
		cmocka_unit_test(rings_that_cannot_be),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
