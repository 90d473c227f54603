/* SPDX-License-Identifier: Apache-2.0 */
/* Checked arithmetic, compared with the same sums in 128 bits at every corner where 64 wrap. */
#include "base/units.h"
#include "support/test.h"

typedef unsigned __int128 wide;

static const uint64_t corners[] = {
	0, 1, 2, 3, 4095, 4096, 4097, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
	(uint64_t)INT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
	UINT64_MAX - 4096, UINT64_MAX - 4095, UINT64_MAX - 1, UINT64_MAX,
};

#define FOR_CORNERS(v) \
	for (size_t i_##v = 0; i_##v < countof(corners); i_##v++) \
		for (uint64_t v = corners[i_##v], once_##v = 1; once_##v; once_##v = 0)

static void sums_fit_or_are_refused(void **state)
{
	(void)state;
	FOR_CORNERS(a) FOR_CORNERS(b) {
		bool fits = (wide)a + b <= UINT64_MAX;
		gpa_t gpa = GPA(7);
		foff_t off = FOFF(7);
		bytes_t sum = BYTES(7);

		assert_int_equal(gpa_end(GPA(a), BYTES(b), &gpa), fits);
		assert_int_equal(foff_end(FOFF(a), BYTES(b), &off), fits);
		assert_int_equal(bytes_add(BYTES(a), BYTES(b), &sum), fits);
		assert_true(gpa.v == (fits ? a + b : 7));
		assert_true(off.v == (fits ? a + b : 7));
		assert_true(sum.v == (fits ? a + b : 7));
	}
}

static void products_fit_or_are_refused(void **state)
{
	(void)state;
	FOR_CORNERS(a) FOR_CORNERS(b) {
		bool fits = (wide)a * b <= UINT64_MAX;
		bytes_t product = BYTES(7);

		assert_int_equal(bytes_mul(BYTES(a), b, &product), fits);
		assert_true(product.v == (fits ? a * b : 7));
	}
}

static void alignment_rounds_up(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		uint64_t align = UINT64_C(1) << shift;

		FOR_CORNERS(v) {
			wide expected = ((wide)v + align - 1) / align * align;
			bool fits = expected <= UINT64_MAX;
			uint64_t up = 7;
			foff_t off = FOFF(7);

			assert_int_equal(u64_align_up(v, align, &up), fits);
			assert_int_equal(foff_align_up(FOFF(v), align, &off), fits);
			assert_true(up == (fits ? (uint64_t)expected : 7));
			assert_true(off.v == up);
		}
	}
}

static void ranges_hold_what_lies_inside(void **state)
{
	(void)state;
	FOR_CORNERS(start) FOR_CORNERS(len) FOR_CORNERS(at) FOR_CORNERS(n) {
		bool inside = at >= start && (wide)at + n <= (wide)start + len;

		assert_int_equal(range_holds(start, len, at, n), inside);
	}
}

static void ranges_overlap_in_a_byte(void **state)
{
	(void)state;
	for (uint64_t a = 0; a < 6; a++)
		for (uint64_t an = 0; an < 6; an++)
			for (uint64_t b = 0; b < 6; b++)
				for (uint64_t bn = 0; bn < 6; bn++) {
					bool shared = false;

					for (uint64_t byte = a; byte < a + an; byte++)
						shared = shared || (byte >= b && byte < b + bn);
					assert_int_equal(ranges_overlap(a, an, b, bn), shared);
				}
}

static void powers_of_two_have_one_bit(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++)
		assert_true(is_power_of_two(UINT64_C(1) << shift));
	FOR_CORNERS(v)
		assert_int_equal(is_power_of_two(v), __builtin_popcountll(v) == 1);
}

static void sizes_have_words(void **state)
{
	(void)state;
	assert_true(KIB(3) == 3072);
	assert_true(MIB(2) == 2097152);
	assert_true(GIB(5) == UINT64_C(5368709120));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_fit_or_are_refused),
		cmocka_unit_test(products_fit_or_are_refused),
		cmocka_unit_test(alignment_rounds_up),
		cmocka_unit_test(ranges_hold_what_lies_inside),
		cmocka_unit_test(ranges_overlap_in_a_byte),
		cmocka_unit_test(powers_of_two_have_one_bit),
		cmocka_unit_test(sizes_have_words),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
