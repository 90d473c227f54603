/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: holes, ends, wrap-around, ranges that cross from one region into the next, and a
 * file that is cut short underneath. */
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/own.h"
#include "machine/ram/gmem.h"
#include "machine/vmgenid/vmgenid.h"

/* Two regions that touch, and which lie the other way round in the host. */
static uint8_t touching_bytes[8192];
static const struct gmem touching = {
	touching_bytes, 2,
	{ { GPA(0x1000), BYTES(4096), BYTES(4096), 0 }, { GPA(0x2000), BYTES(4096), BYTES(0), 1 } },
};

/* With a hole, as a machine's RAM has it. */
static uint8_t holed_bytes[8192];
static const struct gmem holed = {
	holed_bytes, 2,
	{ { GPA(0), BYTES(4096), BYTES(0), 0 }, { GPA(GIB(4)), BYTES(4096), BYTES(4096), 1 } },
};

static void a_range_is_held_only_whole(void **state)
{
	(void)state;
	assert_true(gmem_holds(&holed, GPA(0), BYTES(4096)));
	assert_true(gmem_holds(&holed, GPA(4095), BYTES(1)));
	assert_true(gmem_holds(&holed, GPA(GIB(4)), BYTES(4096)));
	assert_false(gmem_holds(&holed, GPA(0), BYTES(4097)));
	assert_false(gmem_holds(&holed, GPA(4095), BYTES(2)));
	assert_false(gmem_holds(&holed, GPA(4096), BYTES(1)));
	assert_false(gmem_holds(&holed, GPA(GIB(4) - 1), BYTES(1)));
	assert_false(gmem_holds(&holed, GPA(GIB(4) - 1), BYTES(2)));
	assert_false(gmem_holds(&holed, GPA(GIB(4)), BYTES(4097)));
	assert_false(gmem_holds(&holed, GPA(0), BYTES(GIB(4) + 4096)));
}

static void wrapping_around_is_outside(void **state)
{
	uint8_t b[16] = { 0 };
	struct iovec iov[2];
	size_t n = 0;

	(void)state;
	assert_false(gmem_holds(&holed, GPA(UINT64_MAX), BYTES(1)));
	assert_false(gmem_holds(&holed, GPA(UINT64_MAX - 7), BYTES(16)));
	assert_false(gmem_holds(&holed, GPA(16), BYTES(UINT64_MAX)));
	assert_int_equal(gmem_copy_in(&holed, GPA(UINT64_MAX - 7), b, 16).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_copy_out(&holed, GPA(UINT64_MAX - 7), b, 16).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_zero(&holed, GPA(UINT64_MAX - 7), 16).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_iovecs(&holed, GPA(UINT64_MAX - 7), 16, iov, 2, &n).code,
			 ERR_GUEST_MEMORY);
	assert_int_equal(n, 0);
}

static void a_copy_outside_changes_nothing(void **state)
{
	uint8_t before[sizeof holed_bytes], b[64];

	(void)state;
	memset(b, 0x5A, sizeof b);
	memcpy(before, holed_bytes, sizeof before);
	assert_int_equal(gmem_copy_out(&holed, GPA(4096 - 32), b, 64).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_zero(&holed, GPA(4096 - 32), 64).code, ERR_GUEST_MEMORY);
	assert_memory_equal(before, holed_bytes, sizeof before);
	assert_int_equal(gmem_copy_in(&holed, GPA(4096 - 32), b, 64).code, ERR_GUEST_MEMORY);
	for (size_t i = 0; i < sizeof b; i++)
		assert_int_equal(b[i], 0x5A);
}

/* Every alignment of both sides against a plain model. */
static void copies_carry_every_byte(void **state)
{
	uint8_t from[80], back[80];

	(void)state;
	for (size_t i = 0; i < sizeof from; i++)
		from[i] = (uint8_t)(i + 1);
	for (uint64_t at = 0x1FB0; at < 0x1FC0; at++) {
		for (size_t n = 0; n <= sizeof from; n++) {
			memset(touching_bytes, 0, sizeof touching_bytes);
			memset(back, 0, sizeof back);
			assert_int_equal(gmem_copy_out(&touching, GPA(at), from, n).code, ERR_NONE);
			assert_int_equal(gmem_copy_in(&touching, GPA(at), back, n).code, ERR_NONE);
			assert_memory_equal(from, back, n);
			for (size_t i = 0; i < 160; i++) {
				uint64_t g = 0x1FA0 + i;
				uint8_t want = g >= at && g < at + n ? from[g - at] : 0;
				size_t host = g < 0x2000 ? 4096 + g - 0x1000 : g - 0x2000;

				assert_int_equal(touching_bytes[host], want);
			}
			assert_int_equal(gmem_zero(&touching, GPA(at), n).code, ERR_NONE);
			for (size_t i = 0; i < sizeof touching_bytes; i++)
				assert_int_equal(touching_bytes[i], 0);
		}
	}
}

/* CVE-2019-18960: a buffer over two regions must not be taken for one piece of the host. */
static void a_range_over_two_regions_is_cut_at_the_seam(void **state)
{
	struct iovec iov[3];
	size_t n = 1;

	(void)state;
	iov[0] = (struct iovec){ NULL, 0 };
	assert_int_equal(gmem_iovecs(&touching, GPA(0x1F00), 0x200, iov, 3, &n).code, ERR_NONE);
	assert_int_equal(n, 3);
	assert_ptr_equal(iov[1].iov_base, touching_bytes + 4096 + 0xF00);
	assert_int_equal(iov[1].iov_len, 0x100);
	assert_ptr_equal(iov[2].iov_base, touching_bytes);
	assert_int_equal(iov[2].iov_len, 0x100);
	n = 2;
	assert_int_equal(gmem_iovecs(&touching, GPA(0x1F00), 0x200, iov, 3, &n).code, ERR_RANGE);
	assert_int_equal(n, 2);
	assert_int_equal(gmem_iovecs(&touching, GPA(0x1F00), 0x1101, iov, 3, &n).code,
			 ERR_GUEST_MEMORY);
}

static void an_index_is_aligned_and_in_ram(void **state)
{
	uint16_t v = 7;

	(void)state;
	assert_int_equal(gmem_store_release_u16(&holed, GPA(4094), 0xBEEF).code, ERR_NONE);
	assert_int_equal(gmem_load_acquire_u16(&holed, GPA(4094), &v).code, ERR_NONE);
	assert_int_equal(v, 0xBEEF);
	assert_int_equal(gmem_load_acquire_u16(&holed, GPA(4093), &v).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_load_acquire_u16(&holed, GPA(4095), &v).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_load_acquire_u16(&holed, GPA(4096), &v).code, ERR_GUEST_MEMORY);
	assert_int_equal(gmem_store_release_u16(&holed, GPA(UINT64_MAX - 1), 1).code,
			 ERR_GUEST_MEMORY);
	assert_int_equal(v, 0xBEEF);
}

/* RAM over a file that loses its second half. */
struct cut { FILE *file; map_t map; struct gmem mem; };

static void cut_make(struct cut *c)
{
	c->file = tmpfile();
	assert_non_null(c->file);
	assert_int_equal(ftruncate(fileno(c->file), 8192), 0);
	c->map.len = 8192;
	c->map.base = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(c->file), 0);
	assert_ptr_not_equal(c->map.base, MAP_FAILED);
	c->mem = (struct gmem){ c->map.base, 1, { { GPA(0), BYTES(8192), BYTES(0), 0 } } };
	assert_int_equal(ftruncate(fileno(c->file), 4096), 0);
}

#define LOST(call) \
	do { \
		if ((call).code != ERR_RAM_LOST) \
			return __LINE__ % 100; \
	} while (0)

static int lose_memory(const struct cut *c)
{
	uint8_t b[64] = { 1 };
	uint16_t v;

	/* More than once: the signal must not stay blocked after the first. */
	for (int i = 0; i < 3; i++) {
		LOST(gmem_copy_in(&c->mem, GPA(4096), b, 64));
		LOST(gmem_copy_in(&c->mem, GPA(4090), b, 64));
		LOST(gmem_copy_out(&c->mem, GPA(4096), b, 64));
		LOST(gmem_zero(&c->mem, GPA(8191), 1));
		LOST(gmem_load_acquire_u16(&c->mem, GPA(4096), &v));
		LOST(gmem_store_release_u16(&c->mem, GPA(8190), 1));
		if (failed(gmem_copy_in(&c->mem, GPA(0), b, 64)))
			return 9;
	}
	return 0;
}

static volatile sig_atomic_t foreign;
static sigjmp_buf foreign_back;

static void foreign_handler(int sig)
{
	foreign = sig;
	siglongjmp(foreign_back, 1);
}

static int foreign_fault(const struct cut *c, bool handler)
{
	uint8_t b[8];

	if (handler)
		(void)signal(SIGBUS, foreign_handler);
	else
		(void)signal(SIGBUS, SIG_DFL);
	if (gmem_copy_in(&c->mem, GPA(4096), b, 8).code != ERR_RAM_LOST)
		return 10;
	if (sigsetjmp(foreign_back, 1) == 0)
		return ((volatile uint8_t *)c->map.base)[4096] + 11;
	return foreign == SIGBUS ? 0 : 12;
}

/* In a fresh program: handlers are the process's, ours is installed once, and cmocka installs its own
 * around each test. */
static int in_child(const char *what)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/proc/self/exe", "gmem_test", what, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void lost_memory_is_an_error_and_not_a_signal(void **state)
{
	int status = in_child("lost");

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_fault_elsewhere_goes_to_the_handler_before_ours(void **state)
{
	int status = in_child("handler");

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_fault_elsewhere_without_a_handler_is_fatal(void **state)
{
	int status = in_child("default");

	(void)state;
	/* A sanitizer's handler counts as one that was there: then it is not a plain signal. */
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS
					: WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < 10);
}

static void a_generation_id_is_new_each_time(void **state)
{
	static uint8_t ram[MIB(1)];
	const struct gmem m = { ram, 1, { { GPA(0), BYTES(MIB(1)), BYTES(0), 0 } } };
	uint8_t first[16], zero[16] = { 0 };

	(void)state;
	assert_int_equal(vmgenid_renew(&m).code, ERR_NONE);
	memcpy(first, ram + 0xF0000, 16);
	assert_memory_not_equal(first, zero, 16);
	assert_int_equal(vmgenid_renew(&m).code, ERR_NONE);
	assert_memory_not_equal(first, ram + 0xF0000, 16);
	assert_int_equal(ram[0xF0010], 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_range_is_held_only_whole),
		cmocka_unit_test(wrapping_around_is_outside),
		cmocka_unit_test(a_copy_outside_changes_nothing),
		cmocka_unit_test(copies_carry_every_byte),
		cmocka_unit_test(a_range_over_two_regions_is_cut_at_the_seam),
		cmocka_unit_test(an_index_is_aligned_and_in_ram),
		cmocka_unit_test(lost_memory_is_an_error_and_not_a_signal),
		cmocka_unit_test(a_fault_elsewhere_goes_to_the_handler_before_ours),
		cmocka_unit_test(a_fault_elsewhere_without_a_handler_is_fatal),
		cmocka_unit_test(a_generation_id_is_new_each_time),
	};

	if (argc == 2) {
		struct cut c;

		cut_make(&c);
		return strcmp(argv[1], "lost") == 0 ? lose_memory(&c)
						    : foreign_fault(&c, strcmp(argv[1], "handler") == 0);
	}
	return cmocka_run_group_tests_name("gmem", tests, NULL, NULL);
}
