/* SPDX-License-Identifier: Apache-2.0 */
/* RAM is branched while it is written to: what is captured is what was there when it stood still, and
 * the writers lose nothing. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/machine/ram_world.h"

/* In the way of the C library's: a kernel that does not know how to scan a page map; and a look at the
 * first page that is copied and at how many are given as zeroes. */
static bool refuse_scan;
static uint64_t first_copied, zeroes_given;

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (refuse_scan && _IOC_TYPE(request) == 'f' && _IOC_NR(request) == 16) {
		errno = ENOTTY;
		return -1;
	}
	if (request == UFFDIO_COPY && first_copied == 0)
		first_copied = (uintptr_t)((const struct uffdio_copy *)arg)->src;
	zeroes_given += request == UFFDIO_ZEROPAGE;
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static uint64_t kept(const struct ram_base *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ram_base_sources(b); i++) {
		struct stat st;

		assert_int_equal(fstat(ram_base_source(b, i), &st), 0);
		sum += (uint64_t)st.st_blocks * 512;
	}
	return sum;
}

static void assert_spawns(const struct world *w, const struct instant *t)
{
	struct ram *child;

	assert_false(failed(ram_reserve(w->geometry, NULL, &child)));
	assert_false(failed(ram_attach(child, t->base, NULL)));
	for (uint64_t p = 0; p < w->pages; p++)
		assert_true(world_page_is(world_at(child, p), p, t->version[p]));
	ram_free(child);
}

/* ---- generations ---- */

enum { GENERATIONS = 6 };

static void chain(enum way way)
{
	fd_t uffd = uffd_for(way);
	struct world *w = world_new(MIB(64));
	struct instant t[GENERATIONS];

	w->n = w->pages / 2;
	world_start(w);
	for (int i = 0; i < GENERATIONS; i++) {
		world_let_write(w, i == 2 ? 3 : 2000);
		t[i] = branch(w, uffd.raw);
		w->first = w->pages / 8 * (uint64_t)(i % 4); /* the fresh pieces move about */
	}
	world_let_write(w, 2000);
	world_stop(w);
	world_check(w);
	for (int i = 0; i < GENERATIONS; i++) {
		assert_sealed(t[i].base);
		instant_check(&t[i], w->pages);
		assert_spawns(w, &t[i]);
	}
	for (int i = 0; i < GENERATIONS; i++)
		instant_drop(&t[i]);
	world_free(w);
	fd_drop(&uffd);
}

static void generations_are_what_they_were(void **state)
{
	(void)state;
	chain(SERVED);
}

static void generations_without_faults_served(void **state)
{
	(void)state;
	chain(AT_ONCE);
}

static void children_branch_too(void **state)
{
	struct world *w = world_new(MIB(16));
	struct instant t, u;
	struct ram *child;

	(void)state;
	for (uint64_t p = 0; p < w->pages; p += 3)
		world_write(w, p);
	t = branch(w, -1);
	assert_false(failed(ram_reserve(w->geometry, NULL, &child)));
	assert_false(failed(ram_attach(child, t.base, NULL)));
	ram_free(w->ram);
	w->ram = child;
	for (uint64_t p = 0; p < w->pages; p += 7)
		world_write(w, p);
	u = branch(w, -1);
	world_check(w);
	instant_check(&t, w->pages);
	instant_check(&u, w->pages);
	instant_drop(&t);
	instant_drop(&u);
	world_free(w);
}

/* ---- how much ---- */

static void only_what_was_written_is_copied(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	struct world *w = world_new(MIB(64));
	struct instant t, u;
	uint64_t before;

	(void)state;
	for (uint64_t p = 0; p < w->pages; p++)
		world_write(w, p);
	t = branch(w, uffd.raw);
	before = kept(t.base);
	assert_int_equal(before, MIB(64));
	for (uint64_t p = 1000; p < 1256; p++)
		world_write(w, p);
	u = branch(w, uffd.raw);
	assert_int_equal(kept(u.base), before + MIB(1));
	assert_int_equal(ram_base_extents(u.base)->n, 3);
	world_check(w);
	/* What the machine has to itself is what it wrote since. */
	instant_drop(&t);
	world_write(w, 5000);
	t = branch(w, uffd.raw);
	assert_int_equal(kept(t.base), before + MIB(1) + KIB(4));
	instant_check(&t, w->pages);
	instant_drop(&t);
	instant_drop(&u);
	world_free(w);
	fd_drop(&uffd);
}

static void holes_stay_holes(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	struct world *w = world_new(MIB(64));
	struct instant t, u;
	uint64_t before;

	(void)state;
	world_write(w, 3);
	t = branch(w, uffd.raw);
	world_write(w, 9000); /* where nothing was */
	u = branch(w, uffd.raw);
	before = kept(u.base);
	assert_true(before <= KIB(64));
	world_check(w); /* reads everything */
	assert_spawns(w, &u);
	assert_int_equal(kept(u.base), before);
	instant_check(&u, w->pages);
	instant_drop(&t);
	instant_drop(&u);
	world_free(w);
	fd_drop(&uffd);
}

/* After the look, before the instant: in a hole of shared memory, and outside all fresh pieces of
 * private memory. */
static void late_writes(void)
{
	struct world *w = world_new(MIB(64));

	world_write(w, 3);
	for (int i = 0; i < 3; i++) {
		struct ram_branch *b;
		struct instant t;

		assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
		world_write(w, 8000 + (uint64_t)i * 300);
		assert_false(failed(ram_branch_arm(b, still, NULL)));
		t.version = world_versions(w);
		world_write(w, 8001 + (uint64_t)i * 300); /* and these are not */
		assert_false(failed(ram_branch_finish(b, NULL, &t.base)));
		ram_branch_free(b);
		instant_check(&t, w->pages);
		instant_drop(&t);
	}
	world_check(w);
	world_free(w);
}

static void late_writes_are_in(void **state)
{
	(void)state;
	late_writes();
}

static void late_writes_are_in_before_linux_6_7(void **state)
{
	(void)state;
	refuse_scan = true;
	late_writes();
	refuse_scan = false;
}

static void zeroes_written_are_captured(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	struct world *w = world_new(MIB(16));
	struct instant t, u;

	(void)state;
	for (uint64_t p = 0; p < 64; p++)
		world_write(w, p);
	t = branch(w, uffd.raw);
	for (uint64_t p = 0; p < 64; p += 2) {
		memset(world_at(w->ram, p), 0, WORLD_PAGE);
		w->version[p] = 0;
	}
	u = branch(w, uffd.raw);
	instant_check(&u, w->pages);
	instant_check(&t, w->pages);
	world_check(w);
	instant_drop(&t);
	instant_drop(&u);
	world_free(w);
	fd_drop(&uffd);
}

/* ---- who waits ---- */

struct waiter { struct world *w; uint64_t page; };

static void *read_page(void *arg)
{
	const struct waiter *r = arg;

	return world_page_is(world_at(r->w->ram, r->page), r->page, r->w->version[r->page]) ? arg :
											     NULL;
}

/* Somebody already waits for that page when finish begins. */
static void finish_with_waiter(struct world *w, uint64_t page)
{
	fd_t uffd = uffd_for(SERVED);
	struct pollfd waiting = { .fd = uffd.raw, .events = POLLIN };
	struct waiter r = { w, page };
	struct instant t = { .version = world_versions(w) };
	struct ram_branch *b;
	pthread_t thread;
	void *right;

	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, uffd.raw), NULL, &b)));
	assert_false(failed(ram_branch_arm(b, still, NULL)));
	assert_int_equal(pthread_create(&thread, NULL, read_page, &r), 0);
	assert_int_equal(poll(&waiting, 1, 10000), 1);
	first_copied = zeroes_given = 0;
	assert_false(failed(ram_branch_finish(b, NULL, &t.base)));
	ram_branch_free(b);
	assert_int_equal(pthread_join(thread, &right), 0);
	assert_non_null(right);
	world_check(w);
	instant_check(&t, w->pages);
	instant_drop(&t);
	fd_drop(&uffd);
}

static void who_waits_is_served_first(void **state)
{
	struct world *w = world_new(MIB(16));
	struct instant t;

	(void)state;
	t = branch(w, -1);
	for (uint64_t p = 0; p < w->pages; p++)
		world_write(w, p);
	finish_with_waiter(w, 4000);
	/* The first of its block; aside lies where RAM does, counted from a GiB. */
	assert_int_equal(first_copied % GIB(1), (uintptr_t)world_at(w->ram, 4000) % GIB(1));
	assert_int_equal(zeroes_given, 0);
	instant_drop(&t);
	world_free(w);
}

static void who_waits_for_zeroes_gets_them(void **state)
{
	struct world *w = world_new(MIB(64));
	struct instant t;

	(void)state;
	/* Too many pieces: holes have to be part of what is filled. */
	t = branch(w, -1);
	for (uint64_t p = 0; p < w->pages; p += 256)
		world_write(w, p);
	finish_with_waiter(w, 200);
	assert_int_equal(zeroes_given, 1);
	instant_drop(&t);
	world_free(w);
}

/* To look at these while the guest stands still would take too long: half of them are copied. */
static void what_is_only_read_is_looked_at_up_to_a_limit(void **state)
{
	struct world *w = world_new(MIB(256));
	struct ram_branch *b;
	struct instant t;

	(void)state;
	for (uint64_t p = 0; p < w->pages; p++)
		world_write(w, p);
	t = branch(w, -1);
	world_check(w);
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
	assert_true(ram_branch_sizes(b).fresh.v >= MIB(128));
	assert_true(ram_branch_sizes(b).fresh.v <= MIB(130));
	ram_branch_free(b);
	instant_drop(&t);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generations_are_what_they_were),
		cmocka_unit_test(generations_without_faults_served),
		cmocka_unit_test(children_branch_too),
		cmocka_unit_test(only_what_was_written_is_copied),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(late_writes_are_in),
		cmocka_unit_test(late_writes_are_in_before_linux_6_7),
		cmocka_unit_test(zeroes_written_are_captured),
		cmocka_unit_test(who_waits_is_served_first),
		cmocka_unit_test(who_waits_for_zeroes_gets_them),
		cmocka_unit_test(what_is_only_read_is_looked_at_up_to_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
