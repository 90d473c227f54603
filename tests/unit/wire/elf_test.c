/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels: one good file, and that file with one field spoilt for each rule. */
#include "wire/elf.h"

#include "unit/wire/kernel_images.h"

static void good(void **state)
{
	struct blob b = vmlinux_make();
	struct diag d = DIAG_INIT;
	struct elf e;

	(void)state;
	assert_true(elf_looks_like(blob_cur(b)));
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), &d, &e).code, ERR_NONE);
	assert_int_equal(e.entry, VMLINUX_ENTRY);
	assert_int_equal(e.n_segments, 2);
	assert_int_equal(e.segments[0].at.v, VMLINUX_TEXT_GPA);
	assert_int_equal(e.segments[0].offset, VMLINUX_TEXT_AT);
	assert_int_equal(e.segments[0].filesz.v, VMLINUX_TEXT);
	assert_int_equal(e.segments[1].at.v, VMLINUX_DATA_GPA);
	assert_int_equal(e.segments[1].filesz.v, VMLINUX_DATA);
	assert_int_equal(e.segments[1].memsz.v, VMLINUX_DATA_MEM);
	assert_int_equal(e.n_notes, 1);
	assert_int_equal(e.notes[0].offset, VMLINUX_NOTE_AT);
	assert_int_equal(e.notes[0].len, VMLINUX_NOTE);
	assert_int_equal(e.notes[0].align, 4);
	assert_string_equal(d.text, "");
	free(b.bytes);
}

/* Its program headers are enough, when the length of the whole is told. */
static void good_from_head(void **state)
{
	struct blob b = vmlinux_make(), head = blob_cut(b, PH_NOTE + 56);
	struct elf e;

	(void)state;
	assert_int_equal(elf_parse(blob_cur(head), BYTES(b.len), NULL, &e).code, ERR_NONE);
	assert_int_equal(e.n_segments, 2);
	free(head.bytes);
	head = blob_cut(b, PH_NOTE + 55);
	assert_int_equal(elf_parse(blob_cur(head), BYTES(b.len), NULL, &e).code, ERR_KERNEL);
	free(head.bytes);
	free(b.bytes);
}

static const struct spoil spoils[] = {
	{ 0, 1, 0x7e, ERR_KERNEL, "EI_MAG" },
	{ 4, 1, 1, ERR_KERNEL, "EI_CLASS" },
	{ 5, 1, 2, ERR_KERNEL, "EI_DATA" },
	{ 6, 1, 0, ERR_KERNEL, "EI_VERSION" },
	{ 16, 2, 3, ERR_KERNEL, "e_type" },
	{ 18, 2, 183, ERR_ARCH, "e_machine" },
	{ 20, 4, 2, ERR_KERNEL, "e_version" },
	{ 24, 8, VMLINUX_TEXT_GPA - 1, ERR_KERNEL, "e_entry" },
	{ 24, 8, VMLINUX_TEXT_GPA + VMLINUX_TEXT, ERR_KERNEL, "e_entry" },
	{ 24, 8, VMLINUX_DATA_GPA + VMLINUX_DATA, ERR_KERNEL, "e_entry" }, /* zero there */
	{ 24, 8, UINT64_MAX, ERR_KERNEL, "e_entry" },
	{ 32, 8, 63, ERR_KERNEL, "e_phoff" },
	{ 32, 8, 0, ERR_KERNEL, "e_phoff" },
	{ 32, 8, VMLINUX_LEN, ERR_TRUNCATED, "e_phoff" },
	{ 32, 8, VMLINUX_LEN - 3 * 56 + 1, ERR_TRUNCATED, "e_phoff" },
	{ 32, 8, UINT64_MAX, ERR_TRUNCATED, "e_phoff" },
	{ 52, 2, 52, ERR_KERNEL, "e_ehsize" },
	{ 54, 2, 0, ERR_KERNEL, "e_phentsize" },
	{ 54, 2, 32, ERR_KERNEL, "e_phentsize" },
	{ 56, 2, 0, ERR_KERNEL, "e_phnum" },
	{ 56, 2, ELF_PHDRS_MAX + 1, ERR_KERNEL, "e_phnum" },
	{ 56, 2, 0xffff, ERR_KERNEL, "e_phnum" },
	{ PH_TEXT + P_TYPE, 4, 3, ERR_KERNEL, "p_type" },
	{ PH_TEXT + P_OFFSET, 8, VMLINUX_LEN - VMLINUX_TEXT + 1, ERR_TRUNCATED, "p_offset" },
	{ PH_TEXT + P_OFFSET, 8, UINT64_MAX - 1, ERR_TRUNCATED, "p_offset" },
	{ PH_TEXT + P_FILESZ, 8, UINT64_MAX, ERR_TRUNCATED, "p_offset" },
	{ PH_TEXT + P_MEMSZ, 8, VMLINUX_TEXT - 1, ERR_KERNEL, "p_filesz" },
	{ PH_TEXT + P_MEMSZ, 8, UINT64_MAX, ERR_KERNEL, "p_memsz" },
	{ PH_TEXT + P_PADDR, 8, UINT64_MAX - 0x2000, ERR_KERNEL, "p_memsz" },
	{ PH_DATA + P_PADDR, 8, VMLINUX_TEXT_GPA + VMLINUX_TEXT - 1, ERR_KERNEL, "p_paddr" },
	{ PH_DATA + P_PADDR, 8, VMLINUX_TEXT_GPA - VMLINUX_DATA_MEM + 1, ERR_KERNEL, "p_paddr" },
	{ PH_DATA + P_PADDR, 8, VMLINUX_TEXT_GPA, ERR_KERNEL, "p_paddr" },
	{ PH_NOTE + P_FILESZ, 8, ELF_NOTE_BYTES_MAX + 1, ERR_TRUNCATED, "p_offset" },
};

static void each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(spoils); i++) {
		const struct spoil *s = &spoils[i];
		struct blob b = vmlinux_make();
		struct diag d = DIAG_INIT;
		struct elf e = { .entry = 77 };
		err_t got;

		put(b, s->at, s->width, s->value);
		got = elf_parse(blob_cur(b), BYTES(b.len), &d, &e);
		if (got.code != s->code || d.field == NULL || strcmp(d.field, s->field) != 0)
			fail_msg("row %zu: %s, field %s: %s", i, err_name(got.code),
				 d.field != NULL ? d.field : "none", d.text);
		assert_string_equal(d.section, "elf");
		assert_int_equal(e.entry, 77);
		free(b.bytes);
	}
}

/* What is next to a rule is allowed. */
static void no_rule(void **state)
{
	static const struct spoil fine[] = {
		{ 24, 8, VMLINUX_TEXT_GPA + VMLINUX_TEXT - 1, 0, NULL },
		{ PH_DATA + P_PADDR, 8, VMLINUX_TEXT_GPA + VMLINUX_TEXT, 0, NULL },
		{ PH_DATA + P_PADDR, 8, VMLINUX_TEXT_GPA - VMLINUX_DATA_MEM, 0, NULL },
		{ PH_TEXT + P_OFFSET, 8, VMLINUX_LEN - VMLINUX_TEXT, 0, NULL },
		{ PH_NOTE + P_TYPE, 4, 0x6474e551, 0, NULL }, /* a type nobody here knows */
		{ PH_NOTE + P_ALIGN, 8, 8, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < countof(fine); i++) {
		struct blob b = vmlinux_make();
		struct diag d = DIAG_INIT;
		struct elf e;

		put(b, fine[i].at, fine[i].width, fine[i].value);
		if (failed(elf_parse(blob_cur(b), BYTES(b.len), &d, &e)))
			fail_msg("row %zu: %s", i, d.text);
		free(b.bytes);
	}
}

/* Rules about numbers of headers, which take more than one field to break. */
static void counts(void **state)
{
	struct blob b = blob_new(65536 * 2);
	struct blob v = vmlinux_make();
	struct diag d = DIAG_INIT;
	struct elf e;

	(void)state;
	memcpy(b.bytes, v.bytes, v.len);
	put(b, PH_TEXT + P_TYPE, 4, 0);
	put(b, PH_DATA + P_TYPE, 4, 0);
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), &d, &e).code, ERR_KERNEL);
	assert_string_equal(d.field, "p_type");
	assert_non_null(strstr(d.text, "no PT_LOAD"));

	memcpy(b.bytes, v.bytes, v.len);
	put(b, PH_NOTE + P_FILESZ, 8, ELF_NOTE_BYTES_MAX + 1);
	d = DIAG_INIT;
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), &d, &e).code, ERR_KERNEL);
	assert_string_equal(d.field, "p_filesz");

	memcpy(b.bytes, v.bytes, v.len);
	put(b, 56, 2, 2 + ELF_NOTES_MAX + 1);
	for (size_t i = 0; i < ELF_NOTES_MAX + 1; i++)
		put_phdr(b, PH_NOTE + 56 * i, 4, VMLINUX_NOTE_AT, 0, VMLINUX_NOTE, 0, 4);
	d = DIAG_INIT;
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), &d, &e).code, ERR_KERNEL);
	assert_string_equal(d.field, "p_type");
	put(b, 56, 2, 2 + ELF_NOTES_MAX);
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), NULL, &e).code, ERR_NONE);
	assert_int_equal(e.n_notes, ELF_NOTES_MAX);
	free(b.bytes);
	free(v.bytes);
}

/* A segment without memory is nothing; as many as allowed that do not overlap are allowed, and the
 * work is in proportion. */
static void most_segments(void **state)
{
	struct blob b = blob_new(64 + 56 * ELF_PHDRS_MAX);
	struct blob v = vmlinux_make();
	uint64_t steps;
	struct elf e;

	(void)state;
	memcpy(b.bytes, v.bytes, 64);
	put(b, 56, 2, ELF_PHDRS_MAX);
	for (size_t i = 0; i < ELF_PHDRS_MAX; i++)
		put_phdr(b, 64 + 56 * i, 1, 0, VMLINUX_TEXT_GPA + 64 * i, 64, i == 5 ? 0 : 64, 1);
	put(b, 64 + 56 * 5 + P_FILESZ, 8, 0);
	steps = bytes_steps();
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), NULL, &e).code, ERR_NONE);
	assert_int_equal(e.n_segments, ELF_PHDRS_MAX - 1);
	assert_true(bytes_steps() - steps <= b.len);
	free(b.bytes);
	free(v.bytes);
}

static void every_truncation(void **state)
{
	struct blob b = vmlinux_make();

	(void)state;
	/* Up to the end of the last segment's bytes it lacks something; then only section
	 * headers are missing, which are not looked at. */
	for (size_t n = 0; n <= b.len; n++) {
		struct blob cut = blob_cut(b, n);
		struct diag d = DIAG_INIT;
		struct elf e;
		err_t got = elf_parse(blob_cur(cut), BYTES(n), &d, &e);

		assert_int_equal(got.code, n < VMLINUX_DATA_AT + VMLINUX_DATA ? ERR_TRUNCATED : ERR_NONE);
		assert_int_equal(elf_looks_like(blob_cur(cut)), n >= 4);
		free(cut.bytes);
	}
	free(b.bytes);
}

static err_t pvh_of(struct blob b, size_t at, size_t n, uint32_t align, struct diag *d,
		    uint32_t *io_entry)
{
	struct blob all = { b.bytes + at, n }, notes = blob_cut(all, n);
	err_t e = elf_pvh_parse(blob_cur(notes), align, d, io_entry);

	free(notes.bytes);
	return e;
}

static void pvh_found(void **state)
{
	struct blob b = vmlinux_make();
	uint32_t entry = 0;

	(void)state;
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE, 4, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, VMLINUX_PVH);
	/* Again, from another PT_NOTE that agrees. */
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE, 4, NULL, &entry).code, ERR_NONE);
	/* A value of 4 bytes. */
	entry = 0;
	put(b, VMLINUX_NOTE_AT + 24, 4, 4);
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE - 4, 4, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, VMLINUX_PVH);
	/* Another owner's note of that number, and another number: not it. */
	entry = 0;
	memcpy(b.bytes + VMLINUX_NOTE_AT + 32, "XEN", 4);
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE - 4, 4, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, 0);
	memcpy(b.bytes + VMLINUX_NOTE_AT + 32, "Xen", 4);
	put(b, VMLINUX_NOTE_AT + 28, 4, 17);
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE - 4, 4, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, 0);
	assert_int_equal(pvh_of(b, VMLINUX_NOTE_AT, 0, 4, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, 0);
	free(b.bytes);
}

/* Fields padded to 8 bytes, as p_align says of some. */
static void pvh_aligned_8(void **state)
{
	struct blob b = blob_new(32);
	uint32_t entry = 0;

	(void)state;
	put(b, 0, 4, 4);
	put(b, 4, 4, 4);
	put(b, 8, 4, 18);
	memcpy(b.bytes + 12, "Xen", 4);
	put(b, 20, 4, 0x1234);
	assert_int_equal(pvh_of(b, 0, 24, 8, NULL, &entry).code, ERR_NONE);
	assert_int_equal(entry, 0x1234);
	free(b.bytes);
}

static void pvh_refused(void **state)
{
	static const struct spoil rows[] = {
		{ 0, 4, 100, ERR_TRUNCATED, "goes on past" },
		{ 4, 4, UINT32_MAX, ERR_TRUNCATED, "goes on past" },
		{ 20, 4, UINT32_MAX, ERR_TRUNCATED, "goes on past" },
		{ 24, 4, 9, ERR_TRUNCATED, "goes on past" },
		{ 24, 4, 7, ERR_KERNEL, "7 bytes" },
		{ 24, 4, 0, ERR_KERNEL, "0 bytes" },
		{ 36, 8, 0, ERR_KERNEL, "32-bit address" },
		{ 36, 8, UINT64_C(0x100000000), ERR_KERNEL, "32-bit address" },
		{ 36, 8, 0x1234, ERR_KERNEL, "expected one" },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct blob b = vmlinux_make();
		struct diag d = DIAG_INIT;
		uint32_t entry = VMLINUX_PVH;
		err_t got;

		put(b, VMLINUX_NOTE_AT + rows[i].at, rows[i].width, rows[i].value);
		got = pvh_of(b, VMLINUX_NOTE_AT, VMLINUX_NOTE, 4, &d, &entry);
		if (got.code != rows[i].code || strstr(d.text, rows[i].field) == NULL)
			fail_msg("row %zu: %s: %s", i, err_name(got.code), d.text);
		assert_string_equal(d.field, "pvh_note");
		assert_int_equal(entry, VMLINUX_PVH);
		free(b.bytes);
	}
}

static void loads(void **state)
{
	struct blob b = vmlinux_make();
	struct elf e;

	(void)state;
	assert_int_equal(elf_parse(blob_cur(b), BYTES(b.len), NULL, &e).code, ERR_NONE);
	assert_true(elf_loads(&e, VMLINUX_TEXT_GPA, VMLINUX_TEXT));
	assert_false(elf_loads(&e, VMLINUX_TEXT_GPA, VMLINUX_TEXT + 1));
	assert_false(elf_loads(&e, VMLINUX_TEXT_GPA - 1, 1));
	assert_true(elf_loads(&e, VMLINUX_DATA_GPA + VMLINUX_DATA - 1, 1));
	assert_false(elf_loads(&e, VMLINUX_DATA_GPA + VMLINUX_DATA, 1));
	assert_false(elf_loads(&e, UINT64_MAX, UINT64_MAX));
	free(b.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(good_from_head),
		cmocka_unit_test(each_rule), cmocka_unit_test(no_rule), cmocka_unit_test(counts),
		cmocka_unit_test(most_segments), cmocka_unit_test(every_truncation),
		cmocka_unit_test(pvh_found), cmocka_unit_test(pvh_aligned_8),
		cmocka_unit_test(pvh_refused), cmocka_unit_test(loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
