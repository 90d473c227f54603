/* SPDX-License-Identifier: Apache-2.0 */
/* Branches of a machine that runs on a file which somebody else can cut. */
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "unit/machine/ram_world.h"

/* Every page was written once, in another life; every eighth block is absent. */
static struct world *world_on(FILE *file)
{
	struct world *w = world_new(MIB(16));
	uint8_t bits[MIB(16) / RAM_BLOCK / 8];
	struct ram_map map = { sizeof bits * 8, sizeof bits * 7, bits };
	struct ram_base *base;
	uint64_t words[WORLD_WORDS];

	memset(bits, 0x7F, sizeof bits);
	assert_int_equal(ftruncate(fileno(file), (off_t)MIB(16)), 0);
	for (uint64_t p = 0; p < w->pages; p++) {
		if (p / 16 % 8 == 7)
			continue;
		w->version[p] = 1;
		for (unsigned i = 0; i < WORLD_WORDS; i++)
			words[i] = world_word(p, 1, i);
		assert_int_equal(pwrite(fileno(file), words, sizeof words,
					(off_t)(p * WORLD_PAGE)), sizeof words);
	}
	ram_free(w->ram);
	assert_false(failed(ram_reserve(w->geometry, NULL, &w->ram)));
	assert_false(failed(ram_base_of_file(fileno(file), FOFF(0), BYTES(MIB(16)), &map, NULL,
					     &base)));
	assert_false(failed(ram_attach(w->ram, base, NULL)));
	ram_base_free(base);
	return w;
}

static void branch_and_drop_the_file(fd_t *uffd)
{
	FILE *file = tmpfile();
	struct world *w = world_on(file);
	struct instant t;

	world_start(w);
	world_let_write(w, 500);
	t = branch(w, uffd->raw);
	world_let_write(w, 500);
	world_stop(w);
	/* Nothing of it is needed any more. */
	assert_int_equal(ftruncate(fileno(file), 0), 0);
	(void)fclose(file);
	assert_true(ram_base_is_sealed(t.base));
	assert_false(ram_is_cut(w->ram));
	world_check(w);
	instant_check(&t, w->pages);
	instant_drop(&t);
	world_free(w);
	fd_drop(uffd);
}

static void a_branch_leaves_the_file(void **state)
{
	fd_t uffd = uffd_for(SERVED);

	(void)state;
	branch_and_drop_the_file(&uffd);
}

static void at_once_it_leaves_the_file_too(void **state)
{
	fd_t uffd = FD_NONE;

	(void)state;
	branch_and_drop_the_file(&uffd);
}

static void *wait_for_page(void *arg)
{
	const struct ram *r = arg;
	uint64_t words[WORLD_WORDS];

	return gmem_copy_in(ram_gmem(r), GPA(MIB(12)), words, sizeof words).code == ERR_RAM_LOST ?
		       arg : NULL;
}

/* Whoever waits for a page that is lost is told so. */
static void a_file_cut_too_early(void **state)
{
	fd_t uffd = uffd_for(SERVED);
	FILE *file = tmpfile();
	struct world *w = world_on(file);
	struct ram_base *base = NULL;
	struct ram_branch *b;
	pthread_t waits;
	void *told;

	(void)state;
	world_write(w, 5);
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, uffd.raw), NULL, &b)));
	assert_false(failed(ram_branch_arm(b, still, NULL)));
	assert_int_equal(ftruncate(fileno(file), (off_t)MIB(8)), 0);
	assert_int_equal(pthread_create(&waits, NULL, wait_for_page, w->ram), 0);
	(void)usleep(10000);
	assert_int_equal(ram_branch_finish(b, NULL, &base).code, ERR_RAM_LOST);
	assert_null(base);
	assert_int_equal(pthread_join(waits, &told), 0);
	assert_non_null(told);
	ram_branch_free(b);
	(void)fclose(file);
	world_free(w);
	fd_drop(&uffd);
}

static void a_file_cut_before_the_instant(void **state)
{
	FILE *file = tmpfile();
	struct world *w = world_on(file);
	struct ram_branch *b;

	(void)state;
	assert_false(failed(ram_branch_prepare(w->ram, world_means(w, -1), NULL, &b)));
	assert_int_equal(ftruncate(fileno(file), (off_t)MIB(8)), 0);
	assert_int_equal(ram_branch_arm(b, still, NULL).code, ERR_RAM_LOST);
	ram_branch_free(b);
	assert_true(ram_is_cut(w->ram));
	(void)fclose(file);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_branch_leaves_the_file),
		cmocka_unit_test(at_once_it_leaves_the_file_too),
		cmocka_unit_test(a_file_cut_too_early),
		cmocka_unit_test(a_file_cut_before_the_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
