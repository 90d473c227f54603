/* SPDX-License-Identifier: Apache-2.0 */
/* What RAM may lie on: memfds from somebody who is not trusted, judged piece by piece; and reading
 * it, which leaves holes as they are. */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit/machine/ram_rig.h"

#define RAM MIB(1)
enum { PAGES = 256 };

static fd_t memfd(uint64_t size)
{
	struct diag d = DIAG_INIT;
	fd_t fd = FD_NONE;

	if (failed(ram_memfd_new(BYTES(size), &d, &fd)))
		fail_msg("%s", d.text);
	return fd;
}

static void put_page(int fd, uint64_t at, uint64_t page, unsigned seed)
{
	uint8_t b[PAGE];

	fill_page(b, page, seed);
	assert_int_equal(pwrite(fd, b, PAGE, (off_t)(at * PAGE)), PAGE);
}

static void seal(int fd)
{
	assert_int_equal(ram_memfd_seal(fd, NULL).code, ERR_NONE);
}

/* One piece, in pages. */
static struct ram_extent piece(uint64_t from, uint64_t to, uint32_t source, uint64_t at)
{
	return (struct ram_extent){ BYTES(from * PAGE), BYTES((to - from) * PAGE), source,
				    FOFF(at * PAGE) };
}

/* Two sealed files of half the RAM. */
static struct ram_files two_files(void)
{
	struct ram_files f = { .n = 2 };

	for (uint32_t i = 0; i < 2; i++) {
		f.fd[i] = memfd(RAM / 2);
		put_page(f.fd[i].raw, 0, i, 1);
		seal(f.fd[i].raw);
	}
	return f;
}

/* RAM that they make up, which the cases spoil. */
static struct ram_extents two_pieces(void)
{
	struct ram_extents x = { 2, { piece(0, PAGES / 2, 0, 0), piece(PAGES / 2, PAGES, 1, 0) } };

	return x;
}

/* Refused, and the files are closed. */
static void refused(struct ram_files f, const struct ram_extents *x, enum err_code code,
		    const char *words)
{
	struct ram_base *b = NULL;
	struct diag d = DIAG_INIT;
	int was[RAM_SOURCES_MAX];
	uint32_t n = f.n;

	for (uint32_t i = 0; i < n && i < RAM_SOURCES_MAX; i++)
		was[i] = f.fd[i].raw;
	assert_int_equal(ram_base_of_memfds(&f, x, BYTES(RAM), &d, &b).code, code);
	assert_null(b);
	if (strstr(d.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", d.text, words);
	assert_int_equal(f.n, 0);
	for (uint32_t i = 0; i < n && i < RAM_SOURCES_MAX; i++)
		assert_int_equal(fcntl(was[i], F_GETFD), -1);
}

static struct ram_base *accepted(struct ram_files f, const struct ram_extents *x)
{
	struct ram_base *b = NULL;
	struct diag d = DIAG_INIT;

	if (failed(ram_base_of_memfds(&f, x, BYTES(RAM), &d, &b)))
		fail_msg("%s", d.text);
	return b;
}

static void as_it_should_be(void **state)
{
	struct ram_extents x = two_pieces();
	struct ram_base *b = accepted(two_files(), &x);

	(void)state;
	assert_int_equal(ram_base_len(b).v, RAM);
	assert_int_equal(ram_base_sources(b), 2);
	assert_true(ram_base_is_sealed(b));
	assert_false(ram_base_is_cut(b));
	assert_true(ram_base_has(b, 0));
	assert_false(ram_base_has(b, 1));
	assert_true(ram_base_has(b, RAM / 2 / RAM_BLOCK));
	ram_base_free(b);
}

static void files_that_can_change_are_refused(void **state)
{
	static const int missing[] = { F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW };
	struct ram_extents x = two_pieces();
	struct ram_files f;
	int pipes[2];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

		assert_int_equal(ftruncate(fd, RAM / 2), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, all & ~missing[i]), 0);
		f = two_files();
		fd_drop(&f.fd[1]);
		f.fd[1] = (fd_t){ fd };
		refused(f, &x, ERR_STATE, "not sealed");
	}
	f = two_files();
	fd_drop(&f.fd[0]);
	f.fd[0] = (fd_t){ open("/dev/zero", O_RDWR | O_CLOEXEC) };
	refused(f, &x, ERR_STATE, "not sealed");
	assert_int_equal(pipe(pipes), 0);
	f = two_files();
	fd_drop(&f.fd[0]);
	f.fd[0] = (fd_t){ pipes[0] };
	refused(f, &x, ERR_STATE, "not sealed");
	close(pipes[1]);
}

/* Each spoils the pieces in one way; the sentence that belongs to it. */
static void pieces_that_do_not_cover_are_refused(void **state)
{
	static const char cover[] = "do not cover the guest's RAM page by page";
	struct ram_extents x;

	(void)state;
	x = two_pieces();
	x.e[0] = piece(0, PAGES / 2 - 1, 0, 0); /* a gap */
	refused(two_files(), &x, ERR_RANGE, cover);
	x = two_pieces();
	x.e[1] = piece(PAGES / 2 - 1, PAGES - 1, 1, 0); /* twice */
	refused(two_files(), &x, ERR_RANGE, cover);
	x = two_pieces();
	x.e[0] = piece(1, PAGES / 2, 0, 0);
	refused(two_files(), &x, ERR_RANGE, cover);
	x = two_pieces();
	x.e[1].len.v = 0;
	refused(two_files(), &x, ERR_RANGE, cover);
	x = two_pieces();
	x.e[0].len.v -= 512;
	x.e[1].offset.v -= 512;
	refused(two_files(), &x, ERR_RANGE, cover);
	x = two_pieces();
	x.e[1] = piece(PAGES / 2, PAGES + 1, RAM_SOURCE_HOLE, 0);
	refused(two_files(), &x, ERR_RANGE, cover);
	x.e[1].len.v = UINT64_MAX - 4095;
	refused(two_files(), &x, ERR_RANGE, cover);
	x.n = 0;
	refused(two_files(), &x, ERR_RANGE, "end at 0,");
	x = two_pieces();
	x.n = 1;
	refused(two_files(), &x, ERR_RANGE, "end at 524288,");
}

static void pieces_outside_their_files_are_refused(void **state)
{
	static const char outside[] = "lie outside their files";
	struct ram_extents x;

	(void)state;
	for (uint32_t source = 2; source < 20; source++) {
		x = two_pieces();
		x.e[1].source = source;
		refused(two_files(), &x, ERR_RANGE, outside);
	}
	x = two_pieces();
	x.e[1].source = RAM_SOURCE_HOLE - 1;
	refused(two_files(), &x, ERR_RANGE, outside);
	x = two_pieces();
	x.e[1].at.v = PAGE;
	refused(two_files(), &x, ERR_RANGE, outside);
	x.e[1].at.v = UINT64_MAX - 4095;
	refused(two_files(), &x, ERR_RANGE, outside);
	x = two_pieces();
	x.e[1] = piece(PAGES / 2, PAGES - 1, 1, 0);
	x.e[1].at.v = 512;
	refused(two_files(), &x, ERR_RANGE, outside);
	x = (struct ram_extents){ 1, { piece(0, PAGES, 0, 0) } };
	refused(two_files(), &x, ERR_RANGE, outside);
}

/* Numbers of things come from outside too. */
static void more_than_there_may_be_is_refused(void **state)
{
	static const uint32_t too_many[] = { RAM_EXTENTS_MAX + 1, 1000, UINT32_MAX };
	struct ram_extents x = two_pieces();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		x.n = too_many[i];
		refused(two_files(), &x, ERR_RANGE, "expected at most 8");
	}
}

/* ---- reading ---- */

static void reads_across_pieces_and_fills_no_hole(void **state)
{
	struct ram_files f = { .n = 2 };
	struct ram_extents x = { 4, { piece(0, 10, 1, 5), piece(10, 100, RAM_SOURCE_HOLE, 0),
				      piece(100, 110, 0, 100), piece(110, PAGES, 1, 20) } };
	static uint8_t all[RAM], want[RAM];
	struct ram_base *b;
	uint64_t taken;

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		f.fd[i] = memfd(RAM);
	put_page(f.fd[1].raw, 6, 1, 7);   /* page 1; page 0 is a hole in its file */
	put_page(f.fd[0].raw, 102, 102, 7);
	put_page(f.fd[1].raw, 20, 110, 7);
	put_page(f.fd[0].raw, 50, 0, 9);  /* of no piece */
	for (uint32_t i = 0; i < 2; i++)
		seal(f.fd[i].raw);
	b = accepted(f, &x);
	fill_page(want + 1 * PAGE, 1, 7);
	fill_page(want + 102 * PAGE, 102, 7);
	fill_page(want + 110 * PAGE, 110, 7);
	taken = pages_taken(b);
	assert_int_equal(taken, 4);
	assert_int_equal(ram_base_read(b, BYTES(0), all, RAM, NULL).code, ERR_NONE);
	assert_memory_equal(all, want, RAM);
	for (size_t from = 0; from < RAM; from += 40961) {
		size_t n = RAM - from < 50000 ? RAM - from : 50000;

		memset(all, 0xEE, n + (from + n < RAM));
		assert_int_equal(ram_base_read(b, BYTES(from), all, n, NULL).code, ERR_NONE);
		assert_memory_equal(all, want + from, n);
		if (from + n < RAM)
			assert_int_equal(all[n], 0xEE);
	}
	assert_int_equal(pages_taken(b), taken);
	for (uint64_t i = 0; i < RAM / RAM_BLOCK; i++)
		assert_int_equal(ram_base_has(b, i), i == 0 || i == 6);
	ram_base_free(b);
}

static void a_base_lives_until_its_last_reference(void **state)
{
	struct ram_extents x = two_pieces();
	struct ram_base *b = accepted(two_files(), &x), *again = ram_base_again(b);
	int fd = ram_base_source(b, 0);
	uint8_t page[PAGE];

	(void)state;
	ram_base_free(b);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(ram_base_read(again, BYTES(0), page, PAGE, NULL).code, ERR_NONE);
	ram_base_free(again);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	ram_base_free(NULL);
}

/* ---- sealing ---- */

/* Longer than the kernel waits by itself, and than a test runner is away for. */
enum { HELD_US = 400 * 1000 };

struct held {
	int pipe[2];
	atomic_bool told; /* that it was let go */
};

static void *let_go_later(void *arg)
{
	struct held *h = arg;
	char page[4096];

	(void)usleep(HELD_US);
	h->told = true;
	assert_int_equal(read(h->pipe[0], page, sizeof page), sizeof page);
	return NULL;
}

/* As a page fault in the middle holds its page, so does a pipe that it lies in. */
static void what_is_held_for_a_while_is_waited_for(void **state)
{
	struct held h = { .told = false };
	struct iovec v = { NULL, 4096 };
	fd_t fd = memfd(RAM);
	pthread_t thread;

	(void)state;
	assert_int_equal(pipe(h.pipe), 0);
	put_page(fd.raw, 0, 0, 1);
	v.iov_base = mmap(NULL, v.iov_len, PROT_READ, MAP_SHARED, fd.raw, 0);
	assert_ptr_not_equal(v.iov_base, MAP_FAILED);
	assert_int_equal(vmsplice(h.pipe[1], &v, 1, 0), v.iov_len);
	assert_int_equal(munmap(v.iov_base, v.iov_len), 0);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, &h), 0);
	assert_false(failed(ram_memfd_seal(fd.raw, NULL)));
	assert_true(h.told);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(h.pipe[0]);
	(void)close(h.pipe[1]);
	fd_drop(&fd);
}

static void ram_of_another_size_is_not_attached(void **state)
{
	struct ram_extents x = two_pieces();
	struct ram_base *b = accepted(two_files(), &x);
	const struct geometry *g = geometry_of_ram(MIB(16));
	struct diag d = DIAG_INIT;
	struct ram *r;

	(void)state;
	assert_int_equal(ram_reserve(g, &d, &r).code, ERR_NONE);
	assert_int_equal(ram_attach(r, b, &d).code, ERR_SIZE);
	ram_free(r);
	geometry_free(g);
	ram_base_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_should_be),
		cmocka_unit_test(files_that_can_change_are_refused),
		cmocka_unit_test(pieces_that_do_not_cover_are_refused),
		cmocka_unit_test(pieces_outside_their_files_are_refused),
		cmocka_unit_test(more_than_there_may_be_is_refused),
		cmocka_unit_test(reads_across_pieces_and_fills_no_hole),
		cmocka_unit_test(a_base_lives_until_its_last_reference),
		cmocka_unit_test(what_is_held_for_a_while_is_waited_for),
		cmocka_unit_test(ram_of_another_size_is_not_attached),
	};

	return cmocka_run_group_tests_name("ram_base", tests, NULL, NULL);
}
