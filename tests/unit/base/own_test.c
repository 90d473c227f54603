/* SPDX-License-Identifier: Apache-2.0 */
/* Owned descriptors, mappings and heap blocks: released once at the end of their scope, or not at
 * all when taken. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/heap.h"
#include "base/own.h"
#include "support/test.h"

enum { PAGE = 4096 };

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_mapped(void *page)
{
	unsigned char resident;

	return mincore(page, PAGE, &resident) == 0 || errno != ENOMEM;
}

static fd_t open_one(void)
{
	fd_t fd = { open("/dev/null", O_RDONLY | O_CLOEXEC) };

	assert_true(fd_is_open(fd));
	return fd;
}

static map_t map_one(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return (map_t){ at, PAGE };
}

static void a_descriptor_closes_with_its_scope(void **state)
{
	int raw;

	(void)state;
	{
		owned_fd fd = open_one();

		raw = fd.raw;
		assert_true(is_open(raw));
	}
	assert_false(is_open(raw));
}

static void a_taken_descriptor_stays(void **state)
{
	fd_t kept;

	(void)state;
	{
		owned_fd fd = open_one();

		kept = fd_take(&fd);
		assert_false(fd_is_open(fd));
	}
	assert_true(is_open(kept.raw));
	fd_drop(&kept);
	assert_false(fd_is_open(kept));
	fd_drop(&kept); /* nothing left to close */
}

static void no_descriptor_is_no_descriptor(void **state)
{
	owned_fd none = FD_NONE;
	owned_fd zero = { dup(STDIN_FILENO) };

	(void)state;
	assert_false(fd_is_open(none));
	assert_true(fd_is_open(zero));
	assert_true(fd_is_open((fd_t){ 0 })); /* standard input is one */
}

static void a_mapping_goes_with_its_scope(void **state)
{
	void *at;

	(void)state;
	{
		owned_map map = map_one();

		at = map.base;
		assert_true(is_mapped(at));
	}
	assert_false(is_mapped(at));
}

static void a_taken_mapping_stays(void **state)
{
	map_t kept;
	void *at;

	(void)state;
	{
		owned_map map = map_one();

		kept = map_take(&map);
		assert_null(map.base);
		assert_int_equal(map.len, 0);
	}
	at = kept.base;
	assert_int_equal(kept.len, PAGE);
	assert_true(is_mapped(at));
	map_drop(&kept);
	assert_false(is_mapped(at));
	map_drop(&kept);
}

/* That the block is freed is the leak checker's to say, in the build with sanitizers. */
static void a_block_is_freed_unless_taken(void **state)
{
	char *kept;

	(void)state;
	{
		owned_heap char *freed = strdup("freed");
		owned_heap char *block = strdup("kept");
		owned_heap char *none = NULL;

		assert_string_equal(freed, "freed");
		assert_null(none);
		kept = take_ptr(block);
		assert_null(block);
	}
	assert_string_equal(kept, "kept");
	free(kept);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_closes_with_its_scope),
		cmocka_unit_test(a_taken_descriptor_stays),
		cmocka_unit_test(no_descriptor_is_no_descriptor),
		cmocka_unit_test(a_mapping_goes_with_its_scope),
		cmocka_unit_test(a_taken_mapping_stays),
		cmocka_unit_test(a_block_is_freed_unless_taken),
	};

	return cmocka_run_group_tests_name("own", tests, NULL, NULL);
}
