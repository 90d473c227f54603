/* SPDX-License-Identifier: Apache-2.0 */
/* Branches that fail half way, while threads write: they go on and lose nothing. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/machine/ram_world.h"

/* In the way of the C library's: a host that refuses to watch the guest's own memory, or has no more
 * pages for where nobody runs after so many. */
static const struct world *refused;
static uint64_t refuse_after;
static bool refuse_watch, refuse_map;
static int maps_left;

static bool is_refused(unsigned long request, const void *arg)
{
	uint64_t live = (uintptr_t)ram_gmem(refused->ram)->base, len = refused->pages * WORLD_PAGE;
	const struct uffdio_register *r = arg;
	const struct uffdio_copy *c = arg;

	if (request == UFFDIO_REGISTER)
		return refuse_watch && r->mode == UFFDIO_REGISTER_MODE_MISSING &&
		       r->range.start - live < len;
	if (request != UFFDIO_COPY || refuse_watch || c->dst - live < len)
		return false;
	if (refuse_after > 0) {
		refuse_after--;
		return false;
	}
	return true;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (refused != NULL && is_refused(request, arg)) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void file_limit(rlim_t bytes)
{
	struct rlimit l = { bytes, RLIM_INFINITY };

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* What mmap is called with 64-bit offsets. */
void *mmap64(void *at, size_t n, int prot, int flags, int fd, off64_t offset)
{
	if (refuse_map && (flags & MAP_FIXED) &&
	    (uintptr_t)at - (uintptr_t)ram_gmem(refused->ram)->base < refused->pages * WORLD_PAGE &&
	    maps_left-- <= 0) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, offset);
}

/* A machine with private memory and writers at work on all of it. */
static struct world *world_at_work(int uffd, struct instant *ret_first)
{
	struct world *w = world_new(MIB(64));

	world_start(w);
	world_let_write(w, 2000);
	*ret_first = branch(w, uffd);
	world_let_write(w, 4000);
	return w;
}

static void world_ends_well(struct world *w, int uffd, struct instant *first)
{
	struct instant t;

	world_let_write(w, 2000);
	t = branch(w, uffd);
	world_let_write(w, 1000);
	world_stop(w);
	world_check(w);
	assert_sealed(t.base);
	instant_check(&t, w->pages);
	instant_check(first, w->pages);
	instant_drop(&t);
	instant_drop(first);
	world_free(w);
}

/* The copy finds no room half way: there is no base, and nobody notices. */
static void no_room_while_it_runs(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	struct instant first;
	struct world *w = world_at_work(uffd.raw, &first);

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		struct ram_base *base = NULL;
		struct ram_branch *b;
		err_t e;

		assert_false(failed(ram_branch_prepare(w->ram, world_means(w, uffd.raw), NULL, &b)));
		world_still(w, true);
		assert_false(failed(ram_branch_arm(b, still, NULL)));
		refused = w;
		refuse_after = 200 * i;
		world_still(w, false);
		e = ram_branch_finish(b, NULL, &base);
		refused = NULL;
		assert_int_equal(e.code, ERR_HOST_MEMORY);
		assert_int_equal(e.sys, ENOMEM);
		assert_null(base);
		ram_branch_free(b);
		world_let_write(w, 500);
	}
	world_ends_well(w, uffd.raw, &first);
	fd_drop(&uffd);
}

static void no_room_at_once(void **state)
{
	struct instant first;
	struct world *w = world_at_work(-1, &first);
	struct ram_branch *b;
	err_t e;

	(void)state;
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
	world_still(w, true);
	file_limit(MIB(32) + 1000);
	e = ram_branch_arm(b, still, NULL);
	file_limit(RLIM_INFINITY);
	assert_int_equal(e.code, ERR_HOST_MEMORY);
	world_still(w, false);
	ram_branch_free(b);
	world_ends_well(w, -1, &first);
}

static void faults_not_to_be_served(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	int other = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct instant first;
	struct world *w = world_at_work(uffd.raw, &first);
	struct ram_branch *b;

	(void)state;
	assert_int_equal(ram_branch_prepare(w->ram, world_means(w, other), NULL, &b).code, ERR_SYS);
	(void)close(other);
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, uffd.raw), NULL, &b)));
	world_still(w, true);
	refused = w;
	refuse_watch = true;
	assert_int_equal(ram_branch_arm(b, still, NULL).code, ERR_SYS);
	refused = NULL;
	refuse_watch = false;
	world_still(w, false);
	ram_branch_free(b);
	world_ends_well(w, uffd.raw, &first);
	fd_drop(&uffd);
}

/* Of either kind of memory: shared, with a hole, when one of two pieces is in place. */
static void no_room_for_mappings(void **state)
{
	struct world *w = world_new(MIB(64));

	(void)state;
	w->n = w->pages / 4;
	world_start(w);
	for (int i = 0; i < 2; i++) {
		struct ram_branch *b;
		struct instant t;

		world_let_write(w, 1000);
		assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
		world_still(w, true);
		refused = w;
		refuse_map = true;
		maps_left = i == 0 ? 1 : 0;
		assert_int_equal(ram_branch_arm(b, still, NULL).code, ERR_HOST_MEMORY);
		refused = NULL;
		refuse_map = false;
		world_still(w, false);
		ram_branch_free(b);
		world_let_write(w, 1000);
		t = branch(w, -1);
		instant_check(&t, w->pages);
		instant_drop(&t);
	}
	world_stop(w);
	world_check(w);
	world_free(w);
}

static void given_up_before_the_instant(void **state)
{
	struct instant first;
	struct world *w = world_at_work(-1, &first);
	struct ram_branch *b;

	(void)state;
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
	world_let_write(w, 500);
	ram_branch_free(b);
	world_ends_well(w, -1, &first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_room_while_it_runs),
		cmocka_unit_test(no_room_at_once),
		cmocka_unit_test(faults_not_to_be_served),
		cmocka_unit_test(no_room_for_mappings),
		cmocka_unit_test(given_up_before_the_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
