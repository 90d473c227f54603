/* SPDX-License-Identifier: Apache-2.0 */
/* A device's life while its driver keeps it busy: parked and let go, reset, saved and restored, and
 * driven by somebody who rewrites the rings under its eyes.
 *
 * The disk's writes go through a gate: this program's pwritev, which the linker prefers to the C
 * library's. A closed gate holds a request in flight for as long as a test wants, and every write
 * that passes is counted. */
#include "support/test.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "machine/virtio/blk.h"
#include "machine/virtio/device_parts.h"
#include "machine/virtio/registers.h"
#include "support/driver.h"
#include "wire/sections.h"

enum { SECTORS = 2048, SIZE = SECTORS * 512, DATA = 0x200000, HEADS = 0x100000 };

static atomic_bool gate_closed;
static atomic_uint at_gate;
static atomic_uint writes[SECTORS]; /* that reached the disk, by sector */

static void breathe(void)
{
	(void)nanosleep(&(struct timespec){ 0, 20000 }, NULL);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	if (at / 512 < SECTORS)
		atomic_fetch_add(&writes[at / 512], 1);
	atomic_fetch_add(&at_gate, 1);
	while (atomic_load(&gate_closed))
		breathe();
	atomic_fetch_sub(&at_gate, 1);
	return syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static void gate_close(void)
{
	atomic_store(&gate_closed, true);
}

static void gate_open(void)
{
	atomic_store(&gate_closed, false);
}

/* Until something that is bound to happen has happened. */
#define WAIT(cond) \
	do { \
		time_t until_ = time(NULL) + 60; \
		while (!(cond)) { \
			if (time(NULL) > until_) \
				fail_msg("never: %s", #cond); \
			breathe(); \
		} \
	} while (0)

static char path[64];

static struct rig *make(enum dev_kind kind, uint32_t queues)
{
	static struct rig r;

	gate_open();
	for (size_t i = 0; i < SECTORS; i++)
		atomic_store(&writes[i], 0);
	rig_make(&r, kind, queues);
	return &r;
}

static struct rig *make_blk_parked(void)
{
	struct rig *r = make(DEV_BLK, 1);
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	close(temp_file(path, SIZE, 1));
	assert_int_equal(disk_open(path, DISK_RW, NULL, &d, &k).code, ERR_NONE);
	rig_blk(r, k);
	return r;
}

static struct rig *make_blk(void)
{
	struct rig *r = make_blk_parked();

	rig_go(r);
	rig_up(r, 0);
	return r;
}

static void drop_blk(struct rig *r)
{
	rig_drop(r);
	assert_int_equal(unlink(path), 0);
}

/* Request n: a write of one sector, n, from descriptors 2n and up (mod the ring). */
static void offer_write(struct rig *r, uint32_t n)
{
	uint32_t i = n % 85;
	struct { uint32_t type, reserved; uint64_t sector; } h = { BLK_T_OUT, 0, n % SECTORS };
	struct buf b[] = { { HEADS + 32u * i, 16, false }, { DATA + 512u * i, 512, false },
			   { HEADS + 32u * i + 16, 1, true } };
	uint32_t payload[128];

	for (size_t k = 0; k < countof(payload); k++)
		payload[k] = n;
	put(r, b[0].at, &h, sizeof h);
	put(r, b[1].at, payload, sizeof payload);
	put(r, b[2].at, &(uint8_t){ 0xEE }, 1);
	rig_chain(r, 0, (uint16_t)(3 * i), b, countof(b));
	rig_avail(r, 0, (uint16_t)(3 * i));
	rig_publish(r, 0);
}

static void take_write(struct rig *r, uint32_t n)
{
	uint32_t id, len;
	uint8_t status;

	rig_take(r, 0, &id, &len);
	assert_int_equal(id, 3 * (n % 85));
	assert_int_equal(len, 1);
	get(r, HEADS + 32u * (n % 85) + 16, &status, 1);
	assert_int_equal(status, BLK_S_OK);
}

static uint16_t used_idx(struct rig *r)
{
	return get16(r, r->ring[0].device + 2);
}

struct quiescer {
	struct virtio_dev *dev;
	struct virtio_parked parked;
	uint32_t in_flight;
	bool gate_was_open;
};

static void *quiesce_aside(void *ctx)
{
	struct quiescer *q = ctx;

	q->parked = virtio_quiesce(q->dev, &q->in_flight);
	q->gate_was_open = !atomic_load(&gate_closed);
	return NULL;
}

/* Parks a device that has one of `n` requests in hand; the others stay in the ring. */
static struct virtio_parked park_in_flight(struct rig *r, uint32_t n)
{
	struct quiescer q = { .dev = r->dev };
	pthread_t t;

	gate_close();
	for (uint32_t i = 0; i < n; i++)
		offer_write(r, i);
	rig_kick(r, 0);
	WAIT(atomic_load(&at_gate) == 1);
	assert_int_equal(pthread_create(&t, NULL, quiesce_aside, &q), 0);
	WAIT(atomic_load(&r->dev->worker->holds) != 0);
	gate_open();
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_true(q.gate_was_open); /* it waited */
	assert_int_equal(q.in_flight, 1);
	return q.parked;
}

static void parking_completes_what_is_in_hand_and_takes_no_more(void **state)
{
	struct rig *r = make_blk();
	struct virtio_parked p = park_in_flight(r, 10);

	(void)state;
	assert_int_equal(used_idx(r), 1);
	assert_int_equal(virtio_waiting(p), 9);
	assert_int_equal(atomic_load(&writes[0]), 1);
	assert_int_equal(atomic_load(&writes[1]), 0);
	/* Parking twice is parking. */
	p = virtio_quiesce(r->dev, NULL);
	rig_kick(r, 0);
	breathe();
	assert_int_equal(virtio_waiting(p), 9);
	virtio_unquiesce(p);
	for (uint32_t i = 0; i < 10; i++)
		take_write(r, i);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(atomic_load(&writes[i]), 1);
	drop_blk(r);
}

struct load { struct rig *r; uint32_t n; };

static void *load_run(void *ctx)
{
	struct load *l = ctx;
	uint32_t offered = 0, taken = 0;

	while (taken < l->n) {
		while (offered < l->n && offered - taken < 64) {
			offer_write(l->r, offered++);
			rig_kick(l->r, 0);
		}
		take_write(l->r, taken++);
	}
	return NULL;
}

static void parking_under_load_loses_and_doubles_nothing(void **state)
{
	struct rig *r = make_blk();
	struct load l = { r, SECTORS };
	struct device_state s;
	struct diag d = DIAG_INIT;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, load_run, &l), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct virtio_parked p = virtio_quiesce(r->dev, NULL);
		uint16_t used = used_idx(r);

		assert_int_equal(virtio_save(p, NULL, &d, &s).code, ERR_NONE);
		assert_int_equal(s.queues[0].next_avail, s.queues[0].next_used);
		assert_int_equal(s.queues[0].next_used, used);
		assert_int_equal(used_idx(r), used);
		virtio_unquiesce(p);
		device_state_clear(&s);
		breathe();
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	for (uint32_t i = 0; i < SECTORS; i++)
		assert_int_equal(atomic_load(&writes[i]), 1);
	drop_blk(r);
}

static void through_the_file(const struct device_state *s, struct device_state *ret)
{
	static uint8_t bytes[32768];
	struct out o = out_of(bytes, sizeof bytes);
	struct diag d = DIAG_INIT;

	device_state_encode(&o, s);
	assert_int_equal(out_done(&o).code, ERR_NONE);
	memset(ret, 0, sizeof *ret);
	assert_int_equal(device_state_parse(cur_of(bytes, o.len), &d, ret).code, ERR_NONE);
}

/* Another process would do the same: the memory is what is left of the machine. */
static void freeze_and_restore(struct rig *r, struct virtio_parked p)
{
	struct disk_places places = { .snapshot_dir = -1 };
	struct device_state s, back;
	struct diag d = DIAG_INIT;
	struct disk *k = NULL;
	struct blk_view view;

	assert_int_equal(virtio_save(p, NULL, &d, &s).code, ERR_NONE);
	through_the_file(&s, &back);
	device_state_clear(&s);
	virtio_free(r->dev);
	r->dev = NULL;
	(void)rig_interrupts(r);
	assert_true(device_as_blk(&back, &view));
	assert_int_equal(disk_reopen(&back.blk, &places, &d, &k).code, ERR_NONE);
	rig_empty(r);
	assert_int_equal(blk_restore(r->dev, view, &k, &d).code, ERR_NONE);
	assert_null(k);
	device_state_clear(&back);
}

static void a_freeze_with_requests_in_flight_loses_and_doubles_nothing(void **state)
{
	struct rig *r = make_blk();

	(void)state;
	freeze_and_restore(r, park_in_flight(r, 20));
	/* Parked until it is let go; then nobody needs to ring. */
	breathe();
	assert_int_equal(virtio_waiting(virtio_quiesce(r->dev, NULL)), 19);
	rig_go(r);
	for (uint32_t i = 0; i < 20; i++)
		take_write(r, i);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(atomic_load(&writes[i]), 1);
	assert_int_equal(rig_read(r, REG_STATUS), 15);
	drop_blk(r);
}

static void generations_under_load(void **state)
{
	struct rig *r = make_blk();
	uint32_t offered = 0, taken = 0;

	(void)state;
	for (uint32_t generation = 0; generation < 20; generation++) {
		for (uint32_t i = 0; i < 40; i++)
			offer_write(r, offered++);
		rig_kick(r, 0);
		freeze_and_restore(r, virtio_quiesce(r->dev, NULL));
		rig_go(r);
		while (taken < offered)
			take_write(r, taken++);
	}
	for (uint32_t i = 0; i < offered; i++)
		assert_int_equal(atomic_load(&writes[i]), 1);
	drop_blk(r);
}

static void an_interrupt_that_was_not_acknowledged_is_raised_again(void **state)
{
	struct rig *r = make_blk();

	(void)state;
	offer_write(r, 0);
	rig_kick(r, 0);
	take_write(r, 0);
	freeze_and_restore(r, virtio_quiesce(r->dev, NULL));
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 1);
	assert_int_equal(rig_interrupts(r), 0);
	rig_go(r);
	assert_int_equal(rig_interrupts(r), 1);
	rig_write(r, REG_INTERRUPT_ACK, 1);
	rig_go(r);
	assert_int_equal(rig_interrupts(r), 0);
	drop_blk(r);
}

/* A stale event index in memory: the driver did not ring, because it was not asked to. */
static void a_request_without_a_doorbell_is_found_after_a_restore(void **state)
{
	struct rig *r = make_blk();
	struct virtio_parked p = virtio_quiesce(r->dev, NULL);

	(void)state;
	offer_write(r, 0);
	freeze_and_restore(r, p);
	rig_go(r);
	take_write(r, 0);
	drop_blk(r);
}

static void *reset_aside(void *ctx)
{
	rig_write(ctx, REG_STATUS, 0);
	return NULL;
}

/* CVE-2026-45782: a completion after its queue is gone. */
static void reset_waits_for_the_request_in_hand(void **state)
{
	struct rig *r = make_blk();
	uint8_t ring[0x100], after[0x100];
	pthread_t t;

	(void)state;
	gate_close();
	for (uint32_t i = 0; i < 5; i++)
		offer_write(r, i);
	rig_kick(r, 0);
	WAIT(atomic_load(&at_gate) == 1);
	assert_int_equal(pthread_create(&t, NULL, reset_aside, r), 0);
	WAIT(atomic_load(&r->dev->worker->holds) != 0);
	assert_int_equal(rig_read(r, REG_STATUS), 15); /* not reset yet, and says so */
	gate_open();
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(rig_read(r, REG_STATUS), 0);
	rig_write(r, REG_QUEUE_SEL, 0);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 0);
	assert_int_equal(atomic_load(&writes[0]), 1);
	assert_int_equal(atomic_load(&writes[1]), 0);
	/* The memory of the old ring is the driver's again. */
	memset(ring, 0x5A, sizeof ring);
	put(r, r->ring[0].device, ring, sizeof ring);
	rig_negotiate(r, 0);
	rig_queue_at(r, 0, &(struct ring){ .size = 256, .desc = 0x30000, .driver = 0x34000,
					   .device = 0x38000 });
	rig_driver_ok(r);
	offer_write(r, 0);
	rig_kick(r, 0);
	take_write(r, 0);
	get(r, 0x18000, after, sizeof after);
	assert_memory_equal(ring, after, sizeof ring);
	drop_blk(r);
}

/* ---- two devices with one worker ---- */

struct pair { struct rig *blk, rng; };

static void pair_make(struct pair *p)
{
	struct virtio_wires w;

	p->blk = make_blk_parked();
	rig_make(&p->rng, DEV_RNG, 1);
	w = rig_wires(&p->rng);
	assert_int_equal(virtio_new(&p->rng.slot, &w, p->blk->dev, &p->rng.dev).code, ERR_NONE);
	assert_ptr_equal(p->rng.dev->worker, p->blk->dev->worker);
	assert_int_equal(rng_new(p->rng.dev).code, ERR_NONE);
	rig_go(p->blk);
	rig_go(&p->rng);
	rig_up(p->blk, 0);
	rig_up(&p->rng, 0);
}

static void pair_drop(struct pair *p)
{
	rig_drop(&p->rng);
	drop_blk(p->blk);
}

static void gets_random_bytes(struct rig *rng)
{
	uint32_t id, len;

	rig_send(rng, 0, 0, &(struct buf){ 0x200000, 64, true }, 1);
	rig_take(rng, 0, &id, &len);
	assert_int_equal(len, 64);
}

/* What the one's reset kept the worker from is done after it, though nobody rings again. */
static void a_reset_loses_nothing_of_the_other(void **state)
{
	struct pair p;
	pthread_t t;

	(void)state;
	pair_make(&p);
	for (int again = 0; again < 20; again++) {
		gets_random_bytes(&p.rng);
		gate_close();
		for (uint32_t i = 0; i < 5; i++)
			offer_write(p.blk, i);
		rig_kick(p.blk, 0);
		WAIT(atomic_load(&at_gate) == 1);
		assert_int_equal(pthread_create(&t, NULL, reset_aside, &p.rng), 0);
		WAIT(atomic_load(&p.blk->dev->worker->holds) != 0);
		gate_open();
		assert_int_equal(pthread_join(t, NULL), 0);
		for (uint32_t i = 0; i < 5; i++)
			take_write(p.blk, i);
		rig_up(&p.rng, 0);
	}
	pair_drop(&p);
}

/* A disk that always has something to do does not keep the other waiting for ever. */
static void one_under_load_serves_the_other(void **state)
{
	struct load l;
	struct pair p;
	pthread_t t;

	(void)state;
	pair_make(&p);
	l = (struct load){ p.blk, SECTORS };
	assert_int_equal(pthread_create(&t, NULL, load_run, &l), 0);
	for (int i = 0; i < 50; i++) {
		struct virtio_parked parked = virtio_quiesce(p.rng.dev, NULL);
		uint16_t used = used_idx(p.blk);

		breathe();
		assert_int_equal(used_idx(p.blk), used); /* both stand still */
		virtio_unquiesce(parked);
		gets_random_bytes(&p.rng);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	pair_drop(&p);
}

/* A slot whose kind may wait for a file has a worker of its own, and so has a third. */
static void who_shares(void **state)
{
	struct rig r[4];

	(void)state;
	for (size_t i = 0; i < countof(r); i++) {
		struct virtio_wires w;

		rig_make(&r[i], i == 1 ? DEV_BLK : DEV_RNG, 1);
		w = rig_wires(&r[i]);
		assert_int_equal(virtio_new(&r[i].slot, &w, i > 0 ? r[i - 1].dev : NULL,
					    &r[i].dev).code, ERR_NONE);
	}
	assert_ptr_not_equal(r[0].dev->worker, r[1].dev->worker);
	assert_ptr_equal(r[1].dev->worker, r[2].dev->worker);
	assert_ptr_not_equal(r[2].dev->worker, r[3].dev->worker);
	for (size_t i = 0; i < countof(r); i++)
		rig_drop(&r[i]);
}

static void reset_under_load_again_and_again(void **state)
{
	struct rig *r = make_blk();

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t n = 0; n < 85; n++)
			offer_write(r, n);
		rig_kick(r, 0);
		if (i % 3 == 0)
			take_write(r, 0);
		rig_up(r, i % 2 ? F_EVENT_IDX : 0);
	}
	offer_write(r, 7);
	rig_kick(r, 0);
	take_write(r, 7);
	drop_blk(r);
}

/* Two processors that reset the same device at once, as a broken driver might. */
static void two_resets_at_once(void **state)
{
	struct rig *r = make_blk();

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		pthread_t a, b;

		for (uint32_t n = 0; n < 20; n++)
			offer_write(r, n);
		rig_kick(r, 0);
		assert_int_equal(pthread_create(&a, NULL, reset_aside, r), 0);
		assert_int_equal(pthread_create(&b, NULL, reset_aside, r), 0);
		assert_int_equal(pthread_join(a, NULL), 0);
		assert_int_equal(pthread_join(b, NULL), 0);
		assert_int_equal(rig_read(r, REG_STATUS), 0);
		rig_up(r, 0);
	}
	drop_blk(r);
}

static bool event_wanted(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* 2.7.10 from the driver's side: rings only when asked to, sleeps until it is interrupted. A lost
 * doorbell or a lost interrupt stops it for good. */
static void event_indexes_lose_no_wake_up(void **state)
{
	enum { N = 50000 };
	struct rig *r = make(DEV_RNG, 1);
	struct ring *g = &r->ring[0];
	uint32_t offered = 0, taken = 0;

	(void)state;
	rig_rng(r);
	rig_go(r);
	rig_up(r, 0);
	while (taken < N) {
		uint16_t old = g->avail;

		while (offered < N && offered - taken < 1 + offered % 7) {
			rig_chain(r, 0, (uint16_t)(offered % 256),
				  &(struct buf){ DATA, 1, true }, 1);
			rig_avail(r, 0, (uint16_t)(offered++ % 256));
		}
		rig_publish(r, 0);
		if (event_wanted(get16(r, g->device + 4 + 8u * 256), g->avail, old))
			rig_kick(r, 0);
		put16(r, g->driver + 4 + 2u * 256, g->used);
		atomic_thread_fence(memory_order_seq_cst);
		if (get16(r, g->device + 2) == g->used) {
			struct pollfd p = { .fd = r->irq.raw, .events = POLLIN };

			if (poll(&p, 1, 60000) != 1)
				fail_msg("a wake-up was lost at request %u", taken);
			(void)rig_interrupts(r);
			rig_write(r, REG_INTERRUPT_ACK, 3);
		}
		while (get16(r, g->device + 2) != g->used) {
			g->used++;
			taken++;
		}
	}
	rig_drop(r);
}

/* The page with the event index of the device, closed for writing: the device's store to it comes
 * here first, at the moment between "the ring is empty" and "ring me". */
static struct {
	struct rig *r;
	uint8_t *page;
	atomic_uint caught;
} trap;

static void on_store(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if ((uintptr_t)info->si_addr - (uintptr_t)trap.page >= 4096) {
		(void)signal(sig, SIG_DFL);
		return;
	}
	/* The driver publishes, looks whether it should ring, and need not. */
	rig_avail(trap.r, 0, 1);
	rig_publish(trap.r, 0);
	atomic_fetch_add(&trap.caught, 1);
	(void)mprotect(trap.page, 4096, PROT_READ | PROT_WRITE);
}

static void a_request_between_empty_and_ring_me_is_found(void **state)
{
	struct sigaction act = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO }, before;
	struct rig *r = make(DEV_RNG, 1);
	/* The event index is the first thing on the next page. */
	struct ring where = { .size = 256, .desc = 0x10000, .driver = 0x14000,
			      .device = 0x19000 - (4 + 8 * 256) };
	uint32_t id;

	(void)state;
	rig_rng(r);
	rig_go(r);
	rig_negotiate(r, 0);
	rig_queue_at(r, 0, &where);
	trap.r = r;
	trap.page = (uint8_t *)r->ram.base + 0x19000;
	atomic_store(&trap.caught, 0);
	rig_chain(r, 0, 0, &(struct buf){ DATA, 1, true }, 1);
	rig_chain(r, 0, 1, &(struct buf){ DATA, 1, true }, 1);
	assert_int_equal(sigaction(SIGSEGV, &act, &before), 0);
	assert_int_equal(mprotect(trap.page, 4096, PROT_READ), 0);
	rig_avail(r, 0, 0);
	rig_publish(r, 0);
	rig_driver_ok(r); /* rings once, by itself */
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 0);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 1);
	assert_int_equal(atomic_load(&trap.caught), 1);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	rig_drop(r);
}

static uint32_t rnd(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* One descriptor of the table, or an index, at random; buffers are in RAM, mostly. */
static void scribble(struct rig *r, uint32_t *seed)
{
	struct ring *g = &r->ring[0];
	uint64_t at = DATA + rnd(seed) % 0x10000;
	struct desc16 d;

	if (rnd(seed) % 16 == 0)
		at = rnd(seed) % 2 ? RIG_LOW_END - rnd(seed) % 600 : UINT64_MAX - rnd(seed) % 64;
	d = (struct desc16){ at, rnd(seed) % 600, (uint16_t)(rnd(seed) % 8),
			     (uint16_t)(rnd(seed) % 20) };
	switch (rnd(seed) % 4) {
	case 0:
		put16(r, g->driver + 4 + 2u * (rnd(seed) % 16), (uint16_t)(rnd(seed) % 18));
		break;
	case 1: /* an indirect table, in the midst of the data */
		put(r, DATA + 16u * (rnd(seed) % 64), &d, sizeof d);
		break;
	default:
		put_desc(r, 0, (uint16_t)(rnd(seed) % 16), d);
		break;
	}
}

/* With a copy of the rig: only the memory is shared. */
struct hostile { struct rig r; atomic_bool stop; };

static void *hostile_run(void *ctx)
{
	struct hostile *h = ctx;
	uint32_t seed = 12345;

	while (!atomic_load(&h->stop))
		scribble(&h->r, &seed);
	return NULL;
}

/* The rings change while the device reads them; what it does must stay within the guest. ASan and
 * TSan judge. The device breaks often, and is reset each time. */
static void a_driver_that_rewrites_what_the_device_reads(void **state)
{
	struct rig *r = make(DEV_RNG, 1);
	struct hostile h;
	uint32_t broken = 0, served = 0, seed = 99;
	pthread_t t;

	(void)state;
	rig_rng(r);
	rig_go(r);
	rig_negotiate(r, 0);
	rig_queue(r, 0, 16);
	rig_driver_ok(r);
	h.r = *r;
	atomic_init(&h.stop, false);
	assert_int_equal(pthread_create(&t, NULL, hostile_run, &h), 0);
	while (broken < 200 || served < 200) {
		uint16_t idx = get16(r, r->ring[0].device + 2);

		put16(r, r->ring[0].driver + 2, (uint16_t)(idx + rnd(&seed) % 17));
		rig_kick(r, 0);
		breathe();
		served += (uint16_t)(get16(r, r->ring[0].device + 2) - idx);
		if ((rig_read(r, REG_STATUS) & 64) == 0)
			continue;
		broken++;
		rig_negotiate(r, 0);
		rig_queue_at(r, 0, &(struct ring){ .size = 16, .desc = 0x10000,
						   .driver = 0x14000, .device = 0x18000 });
		put16(r, 0x18002, 0);
		put16(r, 0x14002, 0);
		rig_driver_ok(r);
	}
	atomic_store(&h.stop, true);
	assert_int_equal(pthread_join(t, NULL), 0);
	rig_drop(r);
}

/* What nobody has seen yet is seen at the latest when it is saved, so that it can be loaded. */
static void a_queue_that_is_broken_at_the_freeze_is_saved_as_broken(void **state)
{
	struct rig *r = make_blk();
	struct virtio_parked p = virtio_quiesce(r->dev, NULL);

	(void)state;
	put16(r, r->ring[0].driver + 2, 257);
	freeze_and_restore(r, p);
	assert_int_equal(rig_read(r, REG_STATUS), 15 | 64);
	assert_int_equal(rig_read(r, REG_INTERRUPT_STATUS), 2);
	rig_go(r);
	assert_int_equal(rig_interrupts(r), 1);
	rig_up(r, 0);
	offer_write(r, 0);
	rig_kick(r, 0);
	take_write(r, 0);
	drop_blk(r);
}

/* ---- states that are refused ---- */

#define BAD(name, wanted, statement) \
	static void bad_##name(struct device_state *s) { struct queue_state *q = &s->queues[0]; \
							 (void)q; statement; }
#define BADS(X) \
	X(kind, "kind", s->kind = DEV_RNG) \
	X(queues, "n_queues", s->n_queues = 2) \
	X(config_len, "config_len", s->config_len--) \
	X(config, "config", s->config[40] ^= 1) \
	X(capacity, "config", s->config[0] ^= 1) \
	X(status, "status", s->transport.status = 7) \
	X(status_bit, "status", s->transport.status |= 16) \
	X(acked, "acked_features", s->transport.acked_features |= UINT64_C(1) << 34) \
	X(acked_ro, "acked_features", s->transport.acked_features |= 1u << BLK_F_RO) \
	X(version, "acked_features", s->transport.acked_features &= UINT32_MAX) \
	X(interrupt, "interrupt_status", s->transport.interrupt_status = 4) \
	X(max_size, "queue.max_size", q->max_size = 128) \
	X(size, "queue.size", q->size = 100) \
	X(size_zero, "queue.size", q->size = 0) \
	X(size_max, "queue.size", q->size = 512) \
	X(desc_align, "queue.desc", q->desc.v += 8) \
	X(desc_end, "queue.desc", q->desc.v = RIG_LOW_END - 16) \
	X(desc_wrap, "queue.desc", q->desc.v = UINT64_MAX - 15) \
	X(driver_align, "queue.driver", q->driver.v += 1) \
	X(driver_hole, "queue.driver", q->driver.v = 0xC0001000) \
	X(device_align, "queue.device", q->device.v += 2) \
	X(device_hole, "queue.device", q->device.v = RIG_LOW_END) \
	X(early, "queue.ready", s->transport.status = 3) \
	X(unready, "queue.next_avail", q->ready = false; q->next_avail = 1) \
	X(unready_used, "queue.next_avail", q->ready = false; q->next_used = 1) \
	X(behind, "queue.next_avail", q->next_avail = (uint16_t)(q->next_avail - 257)) \
	X(ahead, "queue.next_avail", q->next_avail++)
BADS(BAD)

static const struct { const char *name, *field; void (*spoil)(struct device_state *); } bads[] = {
#define X(name, wanted, statement) { #name, wanted, bad_##name },
	BADS(X)
#undef X
};

static void states_that_cannot_be_are_refused(void **state)
{
	struct rig *r = make_blk();
	struct device_state s, bad;
	struct diag d = DIAG_INIT;
	struct disk *k = NULL;
	struct virtio_parked p;

	(void)state;
	offer_write(r, 0);
	rig_kick(r, 0);
	take_write(r, 0);
	p = virtio_quiesce(r->dev, NULL);
	assert_int_equal(virtio_save(p, NULL, &d, &s).code, ERR_NONE);
	virtio_free(r->dev);
	r->dev = NULL;
	assert_int_equal(disk_open(path, DISK_RW, NULL, &d, &k).code, ERR_NONE);
	rig_empty(r);
	for (size_t i = 0; i < countof(bads); i++) {
		d = DIAG_INIT;
		bad = s;
		bads[i].spoil(&bad);
		assert_int_equal(blk_restore(r->dev, (struct blk_view){ &bad }, &k, &d).code,
				 ERR_DEVICE);
		assert_non_null(k);
		assert_string_equal(d.section, "device");
		if (strcmp(d.field, bads[i].field) != 0)
			fail_msg("%s: %s, expected field %s", bads[i].name, d.text, bads[i].field);
	}
	/* And the one that they were made from is not. */
	assert_int_equal(blk_restore(r->dev, (struct blk_view){ &s }, &k, &d).code, ERR_NONE);
	device_state_clear(&s);
	drop_blk(r);
}

/* Every step of a driver's start can be frozen and goes on from there. */
static void a_freeze_at_every_step_of_the_start(void **state)
{
	static const uint32_t steps[] = { 0, 1, 3, 11 };

	(void)state;
	for (size_t i = 0; i < countof(steps); i++) {
		struct rig *r = make_blk();

		rig_write(r, REG_STATUS, 0);
		for (size_t k = 1; k <= i; k++) {
			rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
			rig_write(r, REG_DRIVER_FEATURES, 1);
			rig_write(r, REG_STATUS, steps[k]);
		}
		if (steps[i] == 11)
			rig_queue(r, 0, 128);
		freeze_and_restore(r, virtio_quiesce(r->dev, NULL));
		rig_go(r);
		assert_int_equal(rig_read(r, REG_STATUS), steps[i]);
		if (steps[i] == 11)
			rig_driver_ok(r);
		else
			rig_up(r, 0);
		offer_write(r, 3);
		rig_kick(r, 0);
		take_write(r, 3);
		drop_blk(r);
	}
}

static void the_entropy_device_is_restored_too(void **state)
{
	struct rig *r = make(DEV_RNG, 1);
	struct device_state s, back;
	struct diag d = DIAG_INIT;
	struct rng_view view;
	struct buf b = { DATA, 8, true };
	uint32_t id;

	(void)state;
	rig_rng(r);
	rig_go(r);
	rig_up(r, 0);
	rig_send(r, 0, 3, &b, 1);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(virtio_save(virtio_quiesce(r->dev, NULL), NULL, &d, &s).code, ERR_NONE);
	through_the_file(&s, &back);
	virtio_free(r->dev);
	assert_true(device_as_rng(&back, &view));
	rig_empty(r);
	assert_int_equal(rng_restore(r->dev, view, &d).code, ERR_NONE);
	rig_go(r);
	rig_send(r, 0, 5, &b, 1);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 5);
	rig_drop(r);
}

static unsigned threads(void)
{
	DIR *all = opendir("/proc/self/task");
	unsigned n = 0;

	assert_non_null(all);
	for (const struct dirent *e = readdir(all); e != NULL; e = readdir(all))
		n += e->d_name[0] != '.';
	(void)closedir(all);
	return n;
}

static void answers(struct rig *r)
{
	struct buf b = { DATA, 8, true };
	uint32_t id;

	rig_up(r, 0);
	rig_send(r, 0, 3, &b, 1);
	rig_take(r, 0, &id, NULL);
	assert_int_equal(id, 3);
}

static void its_thread_comes_with_the_driver_and_stays(void **state)
{
	struct rig *r = make(DEV_RNG, 1);

	(void)state;
	WAIT(threads() == 1); /* those that were joined are on their way out */
	rig_rng(r);
	rig_go(r);
	rig_negotiate(r, 0);
	assert_int_equal(threads(), 1);
	answers(r);
	assert_int_equal(threads(), 2);
	answers(r); /* after a reset */
	assert_int_equal(threads(), 2);
	rig_drop(r);
}

static void without_a_thread_it_wants_a_reset(void **state)
{
	struct rig *r = make(DEV_RNG, 1);
	struct rlimit limit, none;

	(void)state;
	rig_rng(r);
	rig_go(r);
	rig_negotiate(r, 0);
	rig_queue(r, 0, 256);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0); /* what wakes the thread is a descriptor */
	rig_write(r, REG_STATUS, STATUS_STEP4);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true((rig_read(r, REG_STATUS) & STATUS_NEEDS_RESET) != 0);
	assert_non_null(virtio_fault(r->dev));
	answers(r);
	rig_drop(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_loses_nothing_of_the_other),
		cmocka_unit_test(one_under_load_serves_the_other),
		cmocka_unit_test(who_shares),
		cmocka_unit_test(parking_completes_what_is_in_hand_and_takes_no_more),
		cmocka_unit_test(parking_under_load_loses_and_doubles_nothing),
		cmocka_unit_test(a_freeze_with_requests_in_flight_loses_and_doubles_nothing),
		cmocka_unit_test(generations_under_load),
		cmocka_unit_test(an_interrupt_that_was_not_acknowledged_is_raised_again),
		cmocka_unit_test(a_request_without_a_doorbell_is_found_after_a_restore),
		cmocka_unit_test(reset_waits_for_the_request_in_hand),
		cmocka_unit_test(reset_under_load_again_and_again),
		cmocka_unit_test(two_resets_at_once),
		cmocka_unit_test(event_indexes_lose_no_wake_up),
		cmocka_unit_test(a_request_between_empty_and_ring_me_is_found),
		cmocka_unit_test(a_driver_that_rewrites_what_the_device_reads),
		cmocka_unit_test(a_queue_that_is_broken_at_the_freeze_is_saved_as_broken),
		cmocka_unit_test(states_that_cannot_be_are_refused),
		cmocka_unit_test(a_freeze_at_every_step_of_the_start),
		cmocka_unit_test(the_entropy_device_is_restored_too),
		cmocka_unit_test(its_thread_comes_with_the_driver_and_stays),
		cmocka_unit_test(without_a_thread_it_wants_a_reset),
	};

	return cmocka_run_group_tests_name("virtio life", tests, NULL, NULL);
}
