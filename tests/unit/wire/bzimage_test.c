/* SPDX-License-Identifier: Apache-2.0 */
/* bzImages: one good file, and that file with one field spoilt for each rule. */
#include "wire/bzimage.h"

#include "unit/wire/kernel_images.h"

static void good(void **state)
{
	struct blob b = bzimage_make(PACK_NONE), v = vmlinux_make();
	struct diag d = DIAG_INIT;
	struct bzimage z;
	struct cur packed;

	(void)state;
	assert_true(bzimage_looks_like(blob_cur(b)));
	assert_int_equal(bzimage_parse(blob_cur(b), &d, &z).code, ERR_NONE);
	assert_int_equal(z.version, 0x20f);
	assert_ptr_equal(z.setup_header.at, b.bytes + 0x1f1);
	assert_int_equal(cur_left(&z.setup_header), 0x202 + 0x6a - 0x1f1);
	assert_ptr_equal(z.code.at, b.bytes + BZ_SETUP);
	assert_ptr_equal(z.code.end, b.bytes + b.len);
	assert_int_equal(cur_left(&z.payload), v.len + 4);
	assert_memory_equal(z.payload.at, v.bytes, v.len);
	packed = bzimage_packed(&z, PACK_NONE);
	assert_ptr_equal(packed.at, z.payload.at);
	assert_int_equal(cur_left(&packed), v.len);
	packed = bzimage_packed(&z, PACK_GZIP);
	assert_int_equal(cur_left(&packed), v.len + 4);
	assert_int_equal(z.unpacked_len, v.len);
	assert_int_equal(z.initrd_addr_max, BZ_INITRD_MAX);
	assert_int_equal(z.cmdline_max, 2047);
	assert_int_equal(z.pref_address, BZ_PREF);
	assert_int_equal(z.init_size, BZ_INIT_SIZE);
	assert_true(z.entry64);
	assert_string_equal(d.text, "");
	free(b.bytes);
	free(v.bytes);
}

/* What is appended to a signed kernel is neither code nor payload. */
static void signature_ignored(void **state)
{
	struct blob b = bzimage_make(PACK_NONE), longer = blob_new(b.len + 1488);
	struct bzimage z;

	(void)state;
	memcpy(longer.bytes, b.bytes, b.len);
	assert_int_equal(bzimage_parse(blob_cur(longer), NULL, &z).code, ERR_NONE);
	assert_ptr_equal(z.code.end, longer.bytes + b.len);
	free(b.bytes);
	free(longer.bytes);
}

/* Older protocols lack fields: they read as not stated, whatever bytes are there. */
static void older_versions(void **state)
{
	struct blob b = bzimage_make(PACK_NONE);
	struct bzimage z;

	(void)state;
	put(b, 0x206, 2, 0x20b);
	assert_int_equal(bzimage_parse(blob_cur(b), NULL, &z).code, ERR_NONE);
	assert_false(z.entry64);
	assert_int_equal(z.init_size, BZ_INIT_SIZE);
	put(b, 0x206, 2, 0x209);
	put(b, 0x260, 4, 0);
	assert_int_equal(bzimage_parse(blob_cur(b), NULL, &z).code, ERR_NONE);
	assert_int_equal(z.init_size, 0);
	assert_int_equal(z.pref_address, 0);
	free(b.bytes);
}

/* No setup_sects means four. */
static void four_sectors(void **state)
{
	struct blob b = bzimage_make(PACK_NONE), longer = blob_new(b.len + 3 * 512);
	struct bzimage z;

	(void)state;
	memcpy(longer.bytes, b.bytes, BZ_SETUP);
	memcpy(longer.bytes + BZ_SETUP + 3 * 512, b.bytes + BZ_SETUP, b.len - BZ_SETUP);
	put(longer, 0x1f1, 1, 0);
	assert_int_equal(bzimage_parse(blob_cur(longer), NULL, &z).code, ERR_NONE);
	assert_ptr_equal(z.code.at, longer.bytes + 5 * 512);
	free(b.bytes);
	free(longer.bytes);
}

static const struct spoil spoils[] = {
	{ 0x1fe, 2, 0x55aa, ERR_KERNEL, "boot_flag" },
	{ 0x202, 4, 0x53726447, ERR_KERNEL, "header" },
	{ 0x206, 2, 0x207, ERR_KERNEL, "version" },
	{ 0x206, 2, 0, ERR_KERNEL, "version" },
	{ 0x211, 1, 0, ERR_KERNEL, "loadflags" },
	{ 0x201, 1, 0x250 - 0x202 - 1, ERR_KERNEL, "jump" },
	{ 0x201, 1, 0, ERR_KERNEL, "jump" },
	{ 0x230, 4, 0, ERR_KERNEL, "kernel_alignment" },
	{ 0x230, 4, 0x300000, ERR_KERNEL, "kernel_alignment" },
	{ 0x238, 4, 0, ERR_KERNEL, "cmdline_size" },
	{ 0x260, 4, 0, ERR_KERNEL, "init_size" },
	{ 0x258, 8, UINT64_MAX - BZ_INIT_SIZE + 1, ERR_KERNEL, "pref_address" },
	{ 0x1f1, 1, 255, ERR_TRUNCATED, "setup_sects" },
	{ 0x1f1, 1, 2, ERR_TRUNCATED, "syssize" },
	{ 0x1f4, 4, 0, ERR_TRUNCATED, "syssize" },
	{ 0x1f4, 4, UINT32_MAX, ERR_TRUNCATED, "syssize" },
	{ 0x1f4, 4, 1, ERR_KERNEL, "payload_offset" },
	{ 0x248, 4, UINT32_MAX, ERR_KERNEL, "payload_offset" },
	{ 0x248, 4, BZ_PAYLOAD_AT + 16, ERR_KERNEL, "payload_length" },
	{ 0x24c, 4, UINT32_MAX, ERR_KERNEL, "payload_length" },
	{ 0x24c, 4, 4, ERR_KERNEL, "payload_length" },
	{ 0x24c, 4, 0, ERR_KERNEL, "payload_length" },
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(spoils); i++) {
		const struct spoil *s = &spoils[i];
		struct blob b = bzimage_make(PACK_NONE);
		struct diag d = DIAG_INIT;
		struct bzimage z = { .version = 77 };
		err_t got;

		put(b, s->at, s->width, s->value);
		got = bzimage_parse(blob_cur(b), &d, &z);
		if (got.code != s->code || d.field == NULL || strcmp(d.field, s->field) != 0)
			fail_msg("row %zu: %s, field %s: %s", i, err_name(got.code),
				 d.field != NULL ? d.field : "none", d.text);
		assert_string_equal(d.section, "bzimage");
		assert_int_equal(z.version, 77);
		free(b.bytes);
	}
}

/* The header may be longer than the zero page has room for: the rest is not copied. */
static void long_header(void **state)
{
	struct blob b = bzimage_make(PACK_NONE);
	struct bzimage z;

	(void)state;
	put(b, 0x201, 1, 0xff);
	assert_int_equal(bzimage_parse(blob_cur(b), NULL, &z).code, ERR_NONE);
	assert_int_equal(cur_left(&z.setup_header), SETUP_HEADER_MAX);
	put(b, 0x201, 1, 0x250 - 0x202);
	assert_int_equal(bzimage_parse(blob_cur(b), NULL, &z).code, ERR_NONE);
	assert_int_equal(cur_left(&z.setup_header), 0x250 - 0x1f1);
	free(b.bytes);
}

static void every_truncation(void **state)
{
	struct blob b = bzimage_make(PACK_LZ4);

	(void)state;
	for (size_t n = 0; n < b.len; n++) {
		struct blob cut = blob_cut(b, n);
		uint64_t steps = bytes_steps();
		struct bzimage z;

		assert_int_equal(bzimage_parse(blob_cur(cut), NULL, &z).code, ERR_TRUNCATED);
		assert_true(bytes_steps() - steps < 64);
		free(cut.bytes);
	}
	free(b.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(signature_ignored),
		cmocka_unit_test(older_versions), cmocka_unit_test(four_sectors),
		cmocka_unit_test(each_rule), cmocka_unit_test(long_header),
		cmocka_unit_test(every_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
