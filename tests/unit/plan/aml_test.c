/* SPDX-License-Identifier: Apache-2.0 */
/* AML encodings against bytes written out by hand from ACPI 6.5, chapter 20 and 6.4. */
#include "plan/aml.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#define BYTES_ARE(o, ...) \
	do { \
		static const uint8_t want_[] = { __VA_ARGS__ }; \
		assert_int_equal((o)->len, sizeof want_); \
		assert_memory_equal((o)->base, want_, sizeof want_); \
		(o)->len = 0; \
	} while (0)

static void integers(void **state)
{
	uint8_t bytes[32];
	struct out o = out_of(bytes, sizeof bytes);

	(void)state;
	aml_integer(&o, 0);
	BYTES_ARE(&o, 0x00);
	aml_integer(&o, 1);
	BYTES_ARE(&o, 0x01);
	aml_integer(&o, 2);
	BYTES_ARE(&o, 0x0A, 0x02);
	aml_integer(&o, 0xFF);
	BYTES_ARE(&o, 0x0A, 0xFF);
	aml_integer(&o, 0x100);
	BYTES_ARE(&o, 0x0B, 0x00, 0x01);
	aml_integer(&o, 0xFFFF);
	BYTES_ARE(&o, 0x0B, 0xFF, 0xFF);
	aml_integer(&o, 0x10000);
	BYTES_ARE(&o, 0x0C, 0x00, 0x00, 0x01, 0x00);
	aml_integer(&o, 0x100000000);
	BYTES_ARE(&o, 0x0E, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00);
}

static void names_and_strings(void **state)
{
	uint8_t bytes[32];
	struct out o = out_of(bytes, sizeof bytes);

	(void)state;
	aml_name(&o, "_HID");
	aml_eisa_id(&o, "PNP0501");
	BYTES_ARE(&o, 0x08, '_', 'H', 'I', 'D', 0x0C, 0x41, 0xD0, 0x05, 0x01);
	aml_eisa_id(&o, "PNP0C0F");
	BYTES_ARE(&o, 0x0C, 0x41, 0xD0, 0x0C, 0x0F);
	aml_string(&o, "ab");
	BYTES_ARE(&o, 0x0D, 'a', 'b', 0x00);
	aml_notify(&o, "\\_SB_.VGEN", 0x80);
	BYTES_ARE(&o, 0x86, '\\', 0x2E, '_', 'S', 'B', '_', 'V', 'G', 'E', 'N', 0x0A, 0x80);
}

static void terms_with_bodies(void **state)
{
	uint8_t bytes[64];
	struct out o = out_of(bytes, sizeof bytes);
	struct aml_box outer, inner;

	(void)state;
	outer = aml_scope(&o, "\\_SB_");
	inner = aml_device(&o, "DEV0");
	aml_close(&o, inner);
	aml_close(&o, outer);
	BYTES_ARE(&o, 0x10, 0x0D, '\\', '_', 'S', 'B', '_', 0x5B, 0x82, 0x05, 'D', 'E', 'V', '0');

	outer = aml_package(&o, 2);
	aml_integer(&o, 5);
	aml_integer(&o, 0);
	aml_close(&o, outer);
	BYTES_ARE(&o, 0x12, 0x05, 0x02, 0x0A, 0x05, 0x00);

	outer = aml_method(&o, "_EVT", 1);
	inner = aml_if_arg_equals(&o, 0, 3);
	aml_close(&o, inner);
	aml_close(&o, outer);
	BYTES_ARE(&o, 0x14, 0x0C, '_', 'E', 'V', 'T', 0x09, 0xA0, 0x05, 0x93, 0x68, 0x0A, 0x03);
}

static void resource_templates(void **state)
{
	uint8_t bytes[64];
	struct out o = out_of(bytes, sizeof bytes);
	struct aml_box crs = aml_resources(&o);

	(void)state;
	aml_resources_close(&o, crs);
	BYTES_ARE(&o, 0x11, 0x05, 0x0A, 0x02, 0x79, 0x00);

	crs = aml_resources(&o);
	aml_memory32(&o, GPA(0xC0001000), BYTES(0x1000));
	aml_interrupt(&o, (gsi_t){ 23 });
	aml_io(&o, 0x3F8, 8);
	aml_resources_close(&o, crs);
	BYTES_ARE(&o, 0x11, 0x22, 0x0A, 0x1F,
		  0x86, 0x09, 0x00, 0x01, 0x00, 0x10, 0x00, 0xC0, 0x00, 0x10, 0x00, 0x00,
		  0x89, 0x06, 0x00, 0x03, 0x01, 23, 0x00, 0x00, 0x00,
		  0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x01, 0x08,
		  0x79, 0x00);
}

/* PkgLength (20.2.4) where its own width changes: what it says is what there is. */
static void lengths_at_each_width(void **state)
{
	static const struct { size_t body, width; } rows[] = {
		{ 1, 1 }, { 62, 1 }, { 63, 2 }, { 4093, 2 }, { 4094, 3 }, { 5000, 3 },
		{ 1048572, 3 }, { 1048573, 4 }, { 1100000, 4 },
	};
	size_t cap = 1200000;
	uint8_t *bytes = calloc(1, cap);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < countof(rows); i++) {
		struct out o = out_of(bytes, cap);
		struct aml_box box = aml_package(&o, 7);
		size_t width, said;

		if (rows[i].body > 1) {
			out_zero(&o, rows[i].body - 2);
			out_u8(&o, 0xEE); /* the last byte must have moved with the rest */
		}
		aml_close(&o, box);
		assert_false(o.overrun);
		width = (size_t)(bytes[1] >> 6) + 1;
		said = width == 1 ? bytes[1] & 0x3F : bytes[1] & 0x0F;
		assert_true(width == 1 || (bytes[1] & 0x30) == 0);
		for (size_t b = 1; b < width; b++)
			said |= (size_t)bytes[1 + b] << (8 * b - 4);
		assert_int_equal(width, rows[i].width);
		assert_int_equal(said, rows[i].body + width);
		assert_int_equal(o.len, 1 + said);
		assert_int_equal(bytes[1 + width], 7);
		assert_true(rows[i].body == 1 || bytes[o.len - 1] == 0xEE);
	}
	free(bytes);
}

static void put_everything(struct out *o)
{
	struct aml_box scope = aml_scope(o, "\\_SB_"), dev = aml_device(o, "DEV0"), crs;

	aml_name(o, "_CRS");
	crs = aml_resources(o);
	aml_memory32(o, GPA(0xC0001000), BYTES(0x1000));
	aml_resources_close(o, crs);
	aml_close(o, dev);
	aml_close(o, scope);
}

/* A buffer of any smaller size is an error, and nothing is written behind it. */
static void buffers_that_are_too_small(void **state)
{
	uint8_t whole[128], part[128];
	struct out o = out_of(whole, sizeof whole);

	(void)state;
	put_everything(&o);
	assert_int_equal(out_done(&o).code, ERR_NONE);
	for (size_t cap = 0; cap < o.len; cap++) {
		struct out small = out_of(part, cap);

		memset(part, 0xA5, sizeof part);
		put_everything(&small);
		assert_int_equal(out_done(&small).code, ERR_SIZE);
		for (size_t i = cap; i < sizeof part; i++)
			assert_int_equal(part[i], 0xA5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(names_and_strings),
		cmocka_unit_test(terms_with_bodies),
		cmocka_unit_test(resource_templates),
		cmocka_unit_test(lengths_at_each_width),
		cmocka_unit_test(buffers_that_are_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
