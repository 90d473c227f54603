/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of each kind go where they belong, or are refused for what they would do to the machine. */
#include "machine/boot/boot_place.h"
#include "machine/boot/kernel_x86_64.h"
#include "plan/map_x86_64.h"
#include "unit/machine/boot_ram.h"

static err_t place(struct boot_ram *r, struct blob b, enum boot_method method, struct diag *d,
		   struct kernel *ret)
{
	struct boot_file f = { file_of(b), "kernel" };
	err_t e = kernel_place(&f, method, &r->gmem, GPA(MAP_KERNEL), d, ret);

	(void)close(f.fd);
	return e;
}

/* Refused with that code; the sentence says `what`. */
static void refused(struct boot_ram *r, struct blob b, enum boot_method method,
		    enum err_code code, const char *what)
{
	struct kernel k = { .entry = 77 };
	struct diag d = DIAG_INIT;
	err_t e = place(r, b, method, &d, &k);

	if (e.code != code || strstr(d.text, what) == NULL)
		fail_msg("%s: %s (expected %s: ...%s...)", err_name(e.code), d.text, err_name(code),
			 what);
	assert_int_equal(k.entry, 77);
}

static void bytes_placed(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	uint8_t bytes[5 * 4096] = { 0 };

	(void)state;
	bytes[0] = 1;
	bytes[2 * 4096] = 2;
	bytes[sizeof bytes - 1] = 3;
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(1)), bytes, sizeof bytes).code, ERR_NONE);
	assert_false(boot_ram_untouched(&r, MIB(1)));
	assert_true(boot_ram_untouched(&r, MIB(1) + 4096));
	assert_false(boot_ram_untouched(&r, MIB(1) + 2 * 4096));
	assert_true(boot_ram_untouched(&r, MIB(1) + 3 * 4096));
	assert_memory_equal(boot_ram_at(&r, MIB(1)), bytes, sizeof bytes);
	/* Not on a page's edge, in pieces, up to the last byte of RAM. */
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(2) + 100), bytes, 300).code, ERR_NONE);
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(2) + 400), bytes + 300, sizeof bytes - 300).code,
			 ERR_NONE);
	assert_memory_equal(boot_ram_at(&r, MIB(2) + 100), bytes, sizeof bytes);
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(16) - sizeof bytes), bytes, sizeof bytes).code,
			 ERR_NONE);
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(16) - 1), bytes, 0).code, ERR_NONE);
	assert_int_equal(place_bytes(&r.gmem, GPA(MIB(16) - 4096), bytes + 4096, 2 * 4096).code,
			 ERR_GUEST_MEMORY);
	boot_ram_free(&r);
}

/* However the kernel comes, the same lies in memory, and it is entered by the same rule. */
static void same_from_everything(void **state)
{
	static const enum packing packings[] = { PACK_NONE, PACK_GZIP, PACK_XZ, PACK_LZ4, PACK_ZSTD };
	struct blob v = vmlinux_make();

	(void)state;
	for (size_t i = 0; i <= countof(packings); i++) {
		struct boot_ram r = boot_ram_new(MIB(16));
		struct blob b = i < countof(packings) ? bzimage_make(packings[i]) : blob_cut(v, v.len);
		struct diag d = DIAG_INIT;
		struct kernel k;

		if (failed(place(&r, b, BOOT_AUTO, &d, &k)))
			fail_msg("%zu: %s", i, d.text);
		/* The page of zeros in its text took no memory. */
		assert_true(boot_ram_untouched(&r, VMLINUX_TEXT_GPA + 0x1000));
		assert_vmlinux_placed(&r, v);
		assert_int_equal(k.how, ENTRY_PVH);
		assert_int_equal(k.entry, VMLINUX_PVH);
		assert_int_equal(k.end.v, VMLINUX_DATA_GPA + VMLINUX_DATA_MEM);
		assert_int_equal(k.initrd_addr_max, 0x7fffffff);
		assert_int_equal(k.cmdline_max, 2047);
		assert_int_equal(k.setup_header_len != 0, i < countof(packings));
		free(b.bytes);
		boot_ram_free(&r);
	}
	free(v.bytes);
}

/* A vmlinux that is larger than its parsed beginning, and comes in many pieces. */
static void large(void **state)
{
	enum { LEN = 3 << 20, TEXT = 0x12345 };
	struct blob small = vmlinux_make(), v = blob_new(LEN), payload, b;
	struct boot_ram r = boot_ram_new(MIB(16));
	struct kernel k;

	(void)state;
	memcpy(v.bytes, small.bytes, small.len);
	for (size_t i = TEXT; i < LEN; i++)
		v.bytes[i] = (uint8_t)(i % 251);
	put(v, PH_TEXT + P_OFFSET, 8, TEXT);
	put(v, PH_TEXT + P_FILESZ, 8, LEN - TEXT);
	put(v, PH_TEXT + P_MEMSZ, 8, LEN - TEXT);
	put(v, PH_DATA + P_PADDR, 8, MIB(8));
	put(v, PH_NOTE + P_OFFSET, 8, LEN - 2000);
	put_notes(v, LEN - 2000);
	payload = pack(PACK_ZSTD, v);
	b = bzimage_wrap(payload, LEN);
	put(b, 0x260, 4, LEN);
	assert_int_equal(place(&r, b, BOOT_AUTO, NULL, &k).code, ERR_NONE);
	assert_memory_equal(boot_ram_at(&r, VMLINUX_TEXT_GPA), v.bytes + TEXT, LEN - TEXT);
	assert_memory_equal(boot_ram_at(&r, MIB(8)), v.bytes + VMLINUX_DATA_AT, VMLINUX_DATA);
	assert_int_equal(k.entry, VMLINUX_PVH);
	/* Program headers after the beginning cannot be waited for. */
	memmove(v.bytes + LEN - 200, v.bytes + PH_TEXT, 3 * 56);
	put(v, 32, 8, LEN - 200);
	free(payload.bytes);
	free(b.bytes);
	payload = pack(PACK_ZSTD, v);
	b = bzimage_wrap(payload, LEN);
	put(b, 0x260, 4, LEN);
	refused(&r, b, BOOT_AUTO, ERR_KERNEL, "e_phoff");
	free(small.bytes);
	free(v.bytes);
	free(payload.bytes);
	free(b.bytes);
	boot_ram_free(&r);
}

static void methods(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob v = vmlinux_make(), z = bzimage_make(PACK_LZ4);
	struct kernel k;

	(void)state;
	assert_int_equal(place(&r, v, BOOT_PVH, NULL, &k).code, ERR_NONE);
	assert_int_equal(k.how, ENTRY_PVH);
	assert_int_equal(place(&r, v, BOOT_LINUX64, NULL, &k).code, ERR_NONE);
	assert_int_equal(k.how, ENTRY_LINUX64);
	assert_int_equal(k.entry, VMLINUX_ENTRY);
	assert_int_equal(place(&r, z, BOOT_LINUX64, NULL, &k).code, ERR_NONE);
	assert_int_equal(k.how, ENTRY_LINUX64);
	assert_int_equal(k.entry, VMLINUX_ENTRY);
	refused(&r, v, BOOT_BZIMAGE, ERR_KERNEL, "is an ELF kernel, expected a bzImage");
	/* Without the note: not by PVH, otherwise by the other protocol. */
	put(v, PH_NOTE + P_TYPE, 4, 0);
	refused(&r, v, BOOT_PVH, ERR_KERNEL, "pvh_note");
	assert_int_equal(place(&r, v, BOOT_AUTO, NULL, &k).code, ERR_NONE);
	assert_int_equal(k.how, ENTRY_LINUX64);
	free(v.bytes);
	free(z.bytes);
	boot_ram_free(&r);
}

static void own_loader(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob z = bzimage_make(PACK_XZ);
	struct kernel k;

	(void)state;
	assert_int_equal(place(&r, z, BOOT_BZIMAGE, NULL, &k).code, ERR_NONE);
	assert_int_equal(k.how, ENTRY_LINUX64);
	assert_int_equal(k.entry, BZ_PREF + 0x200);
	assert_int_equal(k.end.v, BZ_PREF + BZ_INIT_SIZE);
	assert_memory_equal(boot_ram_at(&r, BZ_PREF), z.bytes + BZ_SETUP, z.len - BZ_SETUP);
	put(z, 0x258, 8, MIB(16) - BZ_INIT_SIZE);
	assert_int_equal(place(&r, z, BOOT_BZIMAGE, NULL, &k).code, ERR_NONE);
	put(z, 0x258, 8, MIB(16) - BZ_INIT_SIZE + 1);
	refused(&r, z, BOOT_BZIMAGE, ERR_KERNEL, "pref_address");
	put(z, 0x258, 8, MIB(1) - 1);
	refused(&r, z, BOOT_BZIMAGE, ERR_KERNEL, "pref_address");
	put(z, 0x258, 8, BZ_PREF);
	put(z, 0x236, 2, 0x7e);
	refused(&r, z, BOOT_BZIMAGE, ERR_KERNEL, "xloadflags");
	free(z.bytes);
	boot_ram_free(&r);
}

/* The monitor's structures below 1 MiB, and what lies past the end of RAM, are no place for it. */
static void places_refused(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16)), high = boot_ram_new(GIB(5));
	struct blob v = vmlinux_make();
	struct kernel k;

	(void)state;
	put(v, PH_DATA + P_PADDR, 8, MAP_ACPI);
	refused(&r, v, BOOT_AUTO, ERR_KERNEL, "expected at least 0x100000");
	put(v, PH_DATA + P_PADDR, 8, MAP_KERNEL - 1);
	refused(&r, v, BOOT_AUTO, ERR_KERNEL, "expected at least 0x100000");
	put(v, PH_DATA + P_PADDR, 8, 0);
	refused(&r, v, BOOT_AUTO, ERR_KERNEL, "expected at least 0x100000");
	put(v, PH_DATA + P_PADDR, 8, MIB(16) - VMLINUX_DATA_MEM + 1);
	refused(&r, v, BOOT_AUTO, ERR_KERNEL, "RAM below 4 GiB ends at 0x1000000");
	put(v, PH_DATA + P_PADDR, 8, MIB(16) - VMLINUX_DATA_MEM);
	assert_int_equal(place(&r, v, BOOT_AUTO, NULL, &k).code, ERR_NONE);
	/* Devices, and RAM that exists but that a kernel does not begin in. */
	put(v, PH_DATA + P_PADDR, 8, MAP_MMIO);
	refused(&high, v, BOOT_AUTO, ERR_KERNEL, "RAM below 4 GiB ends at 0xc0000000");
	put(v, PH_DATA + P_PADDR, 8, GIB(4));
	refused(&high, v, BOOT_AUTO, ERR_KERNEL, "RAM below 4 GiB ends at 0xc0000000");
	put(v, PH_DATA + P_PADDR, 8, VMLINUX_DATA_GPA);
	put(v, VMLINUX_NOTE_AT + 36, 8, MIB(1));
	refused(&r, v, BOOT_AUTO, ERR_KERNEL, "lies in no loaded segment");
	free(v.bytes);
	boot_ram_free(&r);
	boot_ram_free(&high);
}

/* What the size after the payload says is held against every bound, then against what comes. */
static void sizes_refused(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob v = vmlinux_make(), payload = pack(PACK_XZ, v), b;
	struct kernel k;

	(void)state;
	b = bzimage_wrap(payload, BZ_INIT_SIZE + 1);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "its own init_size");
	put(b, 0x260, 4, MIB(64));
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "but the size after it says");
	free(b.bytes);
	b = bzimage_wrap(payload, MIB(17));
	put(b, 0x260, 4, MIB(64));
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "the machine's RAM");
	put(b, 0x206, 2, 0x208);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "the machine's RAM");
	free(b.bytes);
	b = bzimage_wrap(payload, (uint32_t)v.len - 1);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "the size stated after it");
	free(b.bytes);
	b = bzimage_wrap(payload, (uint32_t)v.len + 1);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "but the size after it says");
	free(b.bytes);
	b = bzimage_wrap(payload, 0);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "the size stated after it");
	free(b.bytes);
	b = bzimage_wrap(payload, (uint32_t)v.len);
	assert_int_equal(place(&r, b, BOOT_AUTO, NULL, &k).code, ERR_NONE);
	free(b.bytes);
	free(payload.bytes);
	free(v.bytes);
	boot_ram_free(&r);
}

/* Half a gigabyte is the most, however large RAM is and whatever an old header leaves out. */
static void unpacked_cap(void **state)
{
	struct boot_ram r = boot_ram_new(GIB(2));
	struct blob v = vmlinux_make(), payload = pack(PACK_XZ, v);
	struct blob b = bzimage_wrap(payload, MIB(512) + 1);

	(void)state;
	put(b, 0x206, 2, 0x208);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "536870912, which is the most that is unpacked");
	free(b.bytes);
	free(payload.bytes);
	free(v.bytes);
	boot_ram_free(&r);
}

static void not_kernels(void **state)
{
	struct boot_ram r = boot_ram_new(MIB(16));
	struct blob text = blob_new(10000), empty = blob_new(0), inner, b;

	(void)state;
	memset(text.bytes, 'a', text.len);
	refused(&r, text, BOOT_AUTO, ERR_KERNEL, "neither an ELF kernel nor a bzImage");
	refused(&r, empty, BOOT_AUTO, ERR_TRUNCATED, "is empty");
	inner = pack(PACK_GZIP, text);
	b = bzimage_wrap(inner, (uint32_t)text.len);
	refused(&r, b, BOOT_AUTO, ERR_KERNEL, "EI_MAG");
	free(b.bytes);
	b = bzimage_wrap(text, (uint32_t)text.len);
	refused(&r, b, BOOT_AUTO, ERR_DECOMPRESS, "no known compression");
	free(b.bytes);
	free(inner.bytes);
	free(text.bytes);
	free(empty.bytes);
	boot_ram_free(&r);
}

/* Any bit of the headers, and two bytes at random: accepted or refused, never more. */
static void mutations(void **state)
{
	static const enum packing packings[] = { PACK_NONE, PACK_GZIP, PACK_XZ, PACK_LZ4, PACK_ZSTD };
	uint32_t x = 20221, accepted = 0, tried = 0;
	struct boot_ram r = boot_ram_new(MIB(16));

	(void)state;
	for (size_t i = 0; i < countof(packings); i++) {
		struct blob b = bzimage_make(packings[i]);
		size_t payload = BZ_SETUP + BZ_PAYLOAD_AT;

		for (uint32_t n = 0; n < 2000; n++) {
			struct blob spoilt = blob_cut(b, b.len);
			size_t at = n / 8 < 0x90 ? 0x1f1 + n / 8 : payload + n / 8 - 0x90;
			struct kernel k;
			struct diag d = DIAG_INIT;

			spoilt.bytes[at] ^= (uint8_t)(1u << n % 8);
			if (n % 2 != 0) {
				x = x * 1664525 + 1013904223;
				spoilt.bytes[(x >> 8) % b.len] ^= (uint8_t)(x >> 24);
			}
			tried++;
			if (!failed(place(&r, spoilt, n % 16 == 5 ? BOOT_BZIMAGE : BOOT_AUTO, &d, &k)))
				accepted++;
			else
				assert_true(d.text[0] != '\0');
			free(spoilt.bytes);
		}
		free(b.bytes);
	}
	assert_true(accepted > 0 && accepted < tried);
	boot_ram_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_placed), cmocka_unit_test(same_from_everything),
		cmocka_unit_test(large), cmocka_unit_test(methods), cmocka_unit_test(own_loader),
		cmocka_unit_test(places_refused), cmocka_unit_test(sizes_refused),
		cmocka_unit_test(unpacked_cap), cmocka_unit_test(not_kernels),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
