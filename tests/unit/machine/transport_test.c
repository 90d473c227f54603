/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio registers and the device status (virtio 1.2, 4.2.2, 2.1, 2.4, 3.1.1), on the
 * entropy device and on a block device with a configuration space. */
#include "support/test.h"

#include <string.h>

#include "support/driver.h"

enum { DISK_SIZE = 1 << 20 };

static int make_rng(void **state)
{
	static struct rig r;

	rig_make(&r, DEV_RNG, 1);
	rig_rng(&r);
	rig_go(&r);
	*state = &r;
	return 0;
}

static int make_blk(void **state)
{
	static struct rig r;

	rig_make(&r, DEV_BLK, 2);
	rig_blk(&r, temp_disk(DISK_SIZE, DISK_COW, 1));
	rig_go(&r);
	*state = &r;
	return 0;
}

static int drop(void **state)
{
	rig_drop(*state);
	return 0;
}

/* The entropy device as the proof that the queue works. */
static void expect_entropy(struct rig *r)
{
	struct buf b = { 0x200000, 64, true };
	uint8_t zero[64] = { 0 }, got[64];
	uint32_t id, len;

	put(r, b.at, zero, sizeof zero);
	rig_send(r, 0, 0, &b, 1);
	rig_take(r, 0, &id, &len);
	assert_int_equal(len, 64);
	get(r, b.at, got, sizeof got);
	assert_memory_not_equal(got, zero, sizeof got);
}

static void registers_say_what_it_is(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rig_read(r, 0x000), 0x74726976);
	assert_int_equal(rig_read(r, 0x004), 2);
	assert_int_equal(rig_read(r, 0x008), 4);
	assert_int_equal(rig_read(r, 0x034), 256);
	assert_int_equal(rig_read(r, 0x0fc), 0);
	assert_int_equal(rig_read(r, 0x070), 0);
}

static void registers_are_aligned_words(void **state)
{
	struct rig *r = *state;
	uint8_t b[8];

	for (uint32_t len = 1; len <= 8; len *= 2) {
		for (uint64_t at = 0; at < 8; at++) {
			bool works = len == 4 && at % 4 == 0;

			memset(b, 0xAA, sizeof b);
			virtio_mmio_read(r->dev, at, b, len);
			for (uint32_t i = 0; i < len; i++)
				assert_true(works || b[i] == 0);
		}
	}
	memset(b, 0, sizeof b);
	b[0] = 1;
	virtio_mmio_write(r->dev, REG_STATUS, b, 1);
	virtio_mmio_write(r->dev, REG_STATUS, b, 2);
	virtio_mmio_write(r->dev, REG_STATUS, b, 8);
	virtio_mmio_write(r->dev, REG_STATUS - 1, b, 4);
	assert_int_equal(rig_read(r, REG_STATUS), 0);
}

static void only_two_pages_of_features_exist(void **state)
{
	struct rig *r = *state;

	rig_write(r, REG_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rig_read(r, REG_DEVICE_FEATURES), 1); /* VERSION_1 */
	for (uint32_t page = 2; page != 0; page <<= 1) {
		rig_write(r, REG_DEVICE_FEATURES_SEL, page);
		assert_int_equal(rig_read(r, REG_DEVICE_FEATURES), 0);
	}
	/* A page that does not exist must not shift into one that does. */
	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
	rig_write(r, REG_DRIVER_FEATURES, 1);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 33);
	rig_write(r, REG_DRIVER_FEATURES, 0);
	rig_write(r, REG_STATUS, 11);
	assert_int_equal(rig_read(r, REG_STATUS), 11);
}

static struct device_state saved(struct rig *r)
{
	struct device_state s;
	struct virtio_parked p = virtio_quiesce(r->dev, NULL);
	struct diag d = DIAG_INIT;

	assert_int_equal(virtio_save(p, NULL, &d, &s).code, ERR_NONE);
	virtio_unquiesce(p);
	return s;
}

static void what_was_not_offered_is_not_acked(void **state)
{
	struct rig *r = *state;
	struct device_state s;
	uint64_t offered;

	rig_negotiate(r, 0);
	offered = r->features;
	rig_write(r, REG_STATUS, 0);
	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	for (uint32_t page = 0; page < 2; page++) {
		rig_write(r, REG_DRIVER_FEATURES_SEL, page);
		rig_write(r, REG_DRIVER_FEATURES, 0xFFFFFFFF);
	}
	s = saved(r);
	assert_int_equal(s.transport.acked_features, offered);
	device_state_clear(&s);
}

static void features_without_version_1_are_refused(void **state)
{
	struct rig *r = *state;

	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 0);
	rig_write(r, REG_DRIVER_FEATURES, 0xFFFFFFFF);
	rig_write(r, REG_STATUS, 11);
	assert_int_equal(rig_read(r, REG_STATUS), 3);
	rig_write(r, REG_STATUS, 15);
	assert_int_equal(rig_read(r, REG_STATUS), 3);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
	rig_write(r, REG_DRIVER_FEATURES, 1);
	rig_write(r, REG_STATUS, 11);
	assert_int_equal(rig_read(r, REG_STATUS), 11);
}

static void features_are_fixed_with_features_ok(void **state)
{
	struct rig *r = *state;
	struct device_state a, b;

	rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
	rig_write(r, REG_DRIVER_FEATURES, 1); /* before DRIVER: not heard */
	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	rig_write(r, REG_STATUS, 11);
	assert_int_equal(rig_read(r, REG_STATUS), 3);
	rig_negotiate(r, F_EVENT_IDX);
	a = saved(r);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 0);
	rig_write(r, REG_DRIVER_FEATURES, 0xFFFFFFFF);
	b = saved(r);
	assert_int_equal(a.transport.acked_features, b.transport.acked_features);
	assert_int_equal(a.transport.acked_features & F_EVENT_IDX, 0);
}

/* Every value at every step. */
static void status_goes_one_step_at_a_time(void **state)
{
	static const uint32_t steps[] = { 0, 1, 3, 11, 15 };
	struct rig *r = *state;

	for (size_t step = 0; step < countof(steps); step++) {
		for (uint32_t value = 1; value < 256; value++) {
			bool next = step + 1 < countof(steps) && value == steps[step + 1];
			uint32_t want = (value & 128) != 0 ? steps[step] | 128
					: next             ? value
							   : steps[step];

			rig_write(r, REG_STATUS, 0);
			for (size_t i = 1; i <= step; i++) {
				if (steps[i] == 11) {
					rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
					rig_write(r, REG_DRIVER_FEATURES, 1);
				}
				rig_write(r, REG_STATUS, steps[i]);
			}
			if (steps[step] == 3) {
				rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
				rig_write(r, REG_DRIVER_FEATURES, 1);
			}
			assert_int_equal(rig_read(r, REG_STATUS), steps[step]);
			rig_write(r, REG_STATUS, value);
			assert_int_equal(rig_read(r, REG_STATUS), want);
		}
	}
}

static void failed_stays(void **state)
{
	struct rig *r = *state;

	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 129);
	rig_write(r, REG_STATUS, 3);
	assert_int_equal(rig_read(r, REG_STATUS), 129);
	rig_write(r, REG_STATUS, 0);
	assert_int_equal(rig_read(r, REG_STATUS), 0);
}

static void queue_registers_are_shut_before_features_ok(void **state)
{
	struct rig *r = *state;
	struct device_state s;

	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	rig_queue_at(r, 0, &(struct ring){ .size = 8, .desc = 0x1000, .driver = 0x2000,
					   .device = 0x3000 });
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	s = saved(r);
	assert_int_equal(s.queues[0].size, 0);
	assert_int_equal(s.queues[0].desc.v, 0);
}

/* CVE-2026-5747: a size changed under a running queue. */
static void queue_registers_are_shut_after_driver_ok(void **state)
{
	struct rig *r = *state;
	struct device_state a, b;

	rig_up(r, 0);
	expect_entropy(r);
	a = saved(r);
	for (uint32_t reg = 0x038; reg < 0x0c4; reg += 4) {
		bool other = reg == REG_QUEUE_NOTIFY || reg == REG_INTERRUPT_ACK || reg == REG_STATUS;

		if (!other)
			rig_write(r, reg, 0x7FFF1234);
		if (!other)
			rig_write(r, reg, 0);
	}
	b = saved(r);
	assert_memory_equal(&a.queues[0], &b.queues[0], sizeof a.queues[0]);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 1);
	expect_entropy(r);
}

static void queue_registers_are_shut_while_it_is_ready(void **state)
{
	struct rig *r = *state;
	struct device_state s;

	rig_negotiate(r, 0);
	rig_queue(r, 0, 64);
	rig_write(r, REG_QUEUE_NUM, 128);
	rig_write(r, REG_DESC_LOW, 0xFFFFFFF0);
	s = saved(r);
	assert_int_equal(s.queues[0].size, 64);
	rig_write(r, REG_QUEUE_READY, 0);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	rig_queue(r, 0, 128);
	s = saved(r);
	assert_int_equal(s.queues[0].size, 128);
	assert_true(s.queues[0].ready);
}

/* CVE-2011-2512. */
static void a_queue_that_does_not_exist_is_nothing(void **state)
{
	static const uint32_t none[] = { 1, 2, 7, 8, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF };
	struct rig *r = *state;

	rig_negotiate(r, 0);
	for (size_t i = 0; i < countof(none); i++) {
		rig_write(r, REG_QUEUE_SEL, none[i]);
		assert_int_equal(rig_read(r, REG_QUEUE_NUM_MAX), 0);
		rig_write(r, REG_QUEUE_NUM, 8);
		rig_write(r, REG_DESC_LOW, 0x1000);
		rig_write(r, REG_QUEUE_READY, 1);
		assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	}
	assert_int_equal(rig_read(r, REG_STATUS), 11);
	rig_queue(r, 0, 256);
	rig_driver_ok(r);
	for (size_t i = 0; i < countof(none); i++)
		rig_write(r, REG_QUEUE_NOTIFY, none[i]);
	expect_entropy(r);
}

static void a_region_of_shared_memory_that_does_not_exist_has_no_length(void **state)
{
	struct rig *r = *state;

	rig_write(r, 0x0ac, 0);
	for (uint32_t reg = 0x0b0; reg <= 0x0bc; reg += 4)
		assert_int_equal(rig_read(r, reg), 0xFFFFFFFF);
}

static void a_ring_that_cannot_be_wants_a_reset(void **state)
{
	static const struct ring bad[] = {
		{ .size = 0, .desc = 0x1000, .driver = 0x2000, .device = 0x3000 },
		{ .size = 100, .desc = 0x1000, .driver = 0x2000, .device = 0x3000 },
		{ .size = 512, .desc = 0x1000, .driver = 0x2000, .device = 0x3000 },
		{ .size = 8, .desc = 0x1001, .driver = 0x2000, .device = 0x3000 },
		{ .size = 8, .desc = 0x1000, .driver = 0x2001, .device = 0x3000 },
		{ .size = 8, .desc = 0x1000, .driver = 0x2000, .device = 0x3002 },
		{ .size = 8, .desc = RIG_LOW_END, .driver = 0x2000, .device = 0x3000 },
		{ .size = 8, .desc = 0x1000, .driver = 0xC0001000, .device = 0x3000 },
		{ .size = 8, .desc = 0x1000, .driver = 0x2000, .device = RIG_LOW_END - 8 },
		{ .size = 8, .desc = UINT64_MAX - 15, .driver = 0x2000, .device = 0x3000 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < countof(bad); i++) {
		rig_negotiate(r, 0);
		assert_null(virtio_fault(r->dev));
		rig_queue_at(r, 0, &bad[i]);
		assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
		assert_int_equal(rig_read(r, REG_STATUS), 11 | 64);
		assert_non_null(virtio_fault(r->dev));
		/* 2.1.2: before DRIVER_OK nobody is interrupted. */
		assert_int_equal(rig_interrupts(r), 0);
		rig_driver_ok(r);
		assert_int_equal(rig_read(r, REG_STATUS), 11 | 64);
	}
	rig_up(r, 0);
	expect_entropy(r);
}

static void rings_may_be_in_high_memory(void **state)
{
	struct rig *r = *state;

	rig_negotiate(r, 0);
	rig_queue_at(r, 0, &(struct ring){ .size = 16, .desc = RIG_HIGH, .driver = RIG_HIGH + 0x1000,
					   .device = RIG_HIGH + 0x2000 });
	rig_driver_ok(r);
	expect_entropy(r);
}

/* 2.1.2: a queue that breaks while it works. */
static void a_broken_queue_wants_a_reset_and_says_so(void **state)
{
	struct rig *r = *state;

	rig_up(r, F_EVENT_IDX);
	rig_avail(r, 0, 256);
	rig_publish(r, 0);
	rig_kick(r, 0);
	rig_wait_status(r, 64);
	assert_int_equal(rig_read(r, REG_STATUS), 15 | 64);
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 2);
	assert_int_equal(rig_interrupts(r), 1);
	assert_string_equal(virtio_fault(r->dev), "a chain that begins outside its table");
	/* It does nothing more, and works again once it was reset. */
	rig_kick(r, 0);
	rig_up(r, 0);
	assert_null(virtio_fault(r->dev));
	expect_entropy(r);
}

static void a_doorbell_before_driver_ok_is_heard_after(void **state)
{
	struct rig *r = *state;
	struct buf b = { 0x200000, 16, true };
	uint32_t id;

	rig_negotiate(r, 0);
	rig_queue(r, 0, 16);
	rig_chain(r, 0, 0, &b, 1);
	rig_avail(r, 0, 0);
	rig_publish(r, 0);
	rig_kick(r, 0); /* and eaten, maybe */
	rig_driver_ok(r);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 0);
}

static void the_notify_register_is_a_doorbell_too(void **state)
{
	struct rig *r = *state;
	struct buf b = { 0x200000, 16, true };
	uint32_t id;

	rig_up(r, 0);
	rig_chain(r, 0, 9, &b, 1);
	rig_avail(r, 0, 9);
	rig_publish(r, 0);
	rig_write(r, REG_QUEUE_NOTIFY, 0);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 9);
}

static void an_interrupt_has_its_bit_and_is_acknowledged(void **state)
{
	struct rig *r = *state;
	struct buf b = { 0x200000, 16, true };
	struct virtio_parked p;
	uint32_t id;

	rig_up(r, F_EVENT_IDX);
	rig_send(r, 0, 0, &b, 1);
	rig_take(r, 0, &id, NULL);
	p = virtio_quiesce(r->dev, NULL); /* the interrupt comes after the entry */
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 1);
	assert_int_equal(rig_interrupts(r), 1);
	rig_write(r, REG_INTERRUPT_ACK, 2);
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 1);
	rig_write(r, REG_INTERRUPT_ACK, 1);
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 0);
	virtio_unquiesce(p);
}

static void reset_forgets_everything(void **state)
{
	struct rig *r = *state;
	struct device_state s;

	rig_up(r, F_EVENT_IDX);
	expect_entropy(r);
	rig_write(r, REG_STATUS, 0);
	assert_int_equal(rig_read(r, REG_STATUS), 0);
	rig_write(r, REG_QUEUE_SEL, 0);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 0);
	s = saved(r);
	assert_int_equal(s.transport.acked_features, 0);
	assert_int_equal(s.transport.device_features_sel, 0);
	assert_int_equal(s.transport.driver_features_sel, 0);
	assert_int_equal(s.queues[0].size, 0);
	assert_int_equal(s.queues[0].desc.v, 0);
	assert_int_equal(s.queues[0].next_avail, 0);
	assert_int_equal(s.queues[0].next_used, 0);
}

/* Unbind and bind, a crash kernel, kexec: somebody who knows nothing of what was before. */
static void it_can_be_probed_again_and_again(void **state)
{
	struct rig *r = *state;

	for (uint32_t i = 0; i < 20; i++) {
		rig_up(r, i % 2 ? F_EVENT_IDX : 0);
		for (uint32_t n = 0; n <= i; n++)
			expect_entropy(r);
		assert_int_equal(rig_read(r, REG_STATUS), 15);
	}
}

static void configuration_reads_end_where_it_ends(void **state)
{
	struct rig *r = *state;
	uint8_t all[DEVICE_CONFIG_MAX] = { 0 }, b[8];
	uint64_t capacity;

	virtio_mmio_read(r->dev, REG_CONFIG, all, sizeof all);
	memcpy(&capacity, all, sizeof capacity);
	assert_int_equal(capacity, DISK_SIZE / 512);
	assert_int_equal(all[34], 2); /* num_queues */
	for (uint32_t i = 60; i < sizeof all; i++)
		assert_int_equal(all[i], 0);
	for (uint32_t len = 1; len <= 8; len *= 2) {
		for (uint32_t at = 0; at < 80; at++) {
			memset(b, 0xAA, sizeof b);
			virtio_mmio_read(r->dev, REG_CONFIG + at, b, len);
			assert_memory_equal(b, all + at, len);
		}
	}
	memset(b, 0xAA, sizeof b);
	virtio_mmio_read(r->dev, 0xFFC, b, 4);
	virtio_mmio_read(r->dev, UINT64_MAX - 3, b + 4, 4);
	for (size_t i = 0; i < sizeof b; i++)
		assert_int_equal(b[i], 0);
}

static void configuration_cannot_be_written(void **state)
{
	struct rig *r = *state;
	uint64_t ones = UINT64_MAX, capacity;

	rig_up(r, 0);
	for (uint32_t at = 0; at < 64; at += 8)
		virtio_mmio_write(r->dev, REG_CONFIG + at, &ones, 8);
	for (uint32_t at = 0; at < 64; at++)
		virtio_mmio_write(r->dev, REG_CONFIG + at, &ones, 1);
	virtio_mmio_read(r->dev, REG_CONFIG, &capacity, 8);
	assert_int_equal(capacity, DISK_SIZE / 512);
}

static void the_selected_queue_is_the_one_programmed(void **state)
{
	struct rig *r = *state;

	rig_negotiate(r, 0);
	rig_queue(r, 1, 32);
	rig_write(r, REG_QUEUE_SEL, 0);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	rig_write(r, REG_QUEUE_SEL, 1);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 1);
	rig_driver_ok(r);
	assert_int_equal(rig_read(r, REG_STATUS), 15);
	/* The one that is not ready is silent, the other works. */
	assert_int_equal(rig_blk_io(r, 1, &(struct blk_io){ .type = 4 }, NULL), 0);
}

int main(void)
{
#define RNG(f) cmocka_unit_test_setup_teardown(f, make_rng, drop)
#define BLK(f) cmocka_unit_test_setup_teardown(f, make_blk, drop)
	static const struct CMUnitTest tests[] = {
		RNG(registers_say_what_it_is),
		RNG(registers_are_aligned_words),
		RNG(only_two_pages_of_features_exist),
		RNG(what_was_not_offered_is_not_acked),
		RNG(features_without_version_1_are_refused),
		RNG(features_are_fixed_with_features_ok),
		RNG(status_goes_one_step_at_a_time),
		RNG(failed_stays),
		RNG(queue_registers_are_shut_before_features_ok),
		RNG(queue_registers_are_shut_after_driver_ok),
		RNG(queue_registers_are_shut_while_it_is_ready),
		RNG(a_queue_that_does_not_exist_is_nothing),
		RNG(a_region_of_shared_memory_that_does_not_exist_has_no_length),
		RNG(a_ring_that_cannot_be_wants_a_reset),
		RNG(rings_may_be_in_high_memory),
		RNG(a_broken_queue_wants_a_reset_and_says_so),
		RNG(a_doorbell_before_driver_ok_is_heard_after),
		RNG(the_notify_register_is_a_doorbell_too),
		RNG(an_interrupt_has_its_bit_and_is_acknowledged),
		RNG(reset_forgets_everything),
		RNG(it_can_be_probed_again_and_again),
		BLK(configuration_reads_end_where_it_ends),
		BLK(configuration_cannot_be_written),
		BLK(the_selected_queue_is_the_one_programmed),
	};
#undef RNG
#undef BLK
	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
