/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI blob as a guest finds it: from the RSDP to every table by address, length and checksum.
 * Offsets are written out from ACPI 6.5, not taken from the code that is tested. */
#include "plan/acpi.h"

#include <endian.h>
#include <string.h>

#include "plan/map_x86_64.h"
#include "unit/plan/shapes.h"

enum { CAP = 65536 };

struct blob {
	uint8_t bytes[CAP];
	size_t len;
};

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static void sums_to_zero(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
}

static void blob_of(uint32_t vcpus, uint32_t devices, struct blob *ret_blob)
{
	struct shape s = shape_of(vcpus, MIB(128), devices);
	const struct geometry *g = geometry_of(&s);
	struct out o = out_of(ret_blob->bytes, CAP);

	memset(ret_blob->bytes, 0xA5, CAP);
	assert_int_equal(acpi_plan(g, &o).code, ERR_NONE);
	ret_blob->len = o.len;
	geometry_free(g);
}

/* The table at a guest address, with its signature, a length inside the blob and a checksum. */
static const uint8_t *table_at(const struct blob *b, uint64_t at, const char *signature)
{
	const uint8_t *p = b->bytes + (at - 0xE0000);

	assert_in_range(at, 0xE0000, 0xE0000 + b->len - 36);
	assert_int_equal(at % 16, 0);
	assert_memory_equal(p, signature, 4);
	assert_in_range(u32_at(p + 4), 36, b->len - (at - 0xE0000));
	sums_to_zero(p, u32_at(p + 4));
	assert_memory_equal(p + 10, "SPORE ", 6);
	return p;
}

static const uint8_t *table_of(const struct blob *b, const char *signature)
{
	const uint8_t *xsdt = table_at(b, u64_at(b->bytes + 24), "XSDT");

	assert_int_equal(u32_at(xsdt + 4), 36 + 2 * 8);
	if (memcmp(signature, "APIC", 4) == 0)
		return table_at(b, u64_at(xsdt + 44), "APIC");
	if (memcmp(signature, "FACP", 4) == 0)
		return table_at(b, u64_at(xsdt + 36), "FACP");
	return table_at(b, u64_at(table_of(b, "FACP") + 140), signature);
}

/* How often the needle occurs in a table. */
static size_t count(const uint8_t *table, const void *needle, size_t n)
{
	size_t found = 0;

	for (size_t i = 36; i + n <= u32_at(table + 4); i++)
		found += memcmp(table + i, needle, n) == 0;
	return found;
}

static void root_pointer(void **state)
{
	static struct blob b;

	(void)state;
	blob_of(1, 1, &b);
	assert_memory_equal(b.bytes, "RSD PTR ", 8);
	sums_to_zero(b.bytes, 20);
	sums_to_zero(b.bytes, 36);
	assert_int_equal(b.bytes[15], 2);
	assert_int_equal(u32_at(b.bytes + 16), 0);
	assert_int_equal(u32_at(b.bytes + 20), 36);
}

static void fadt_by_hand(void **state)
{
	static const uint8_t port[12] = { 1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0 };
	static struct blob b;
	const uint8_t *p;

	(void)state;
	blob_of(1, 1, &b);
	p = table_of(&b, "FACP");
	assert_int_equal(u32_at(p + 4), 276);
	assert_int_equal(p[8], 6);
	assert_int_equal(p[131], 5);
	assert_int_equal(u32_at(p + 40), u64_at(p + 140));
	assert_int_equal(p[109] | p[110] << 8, 1 << 2 | 1 << 5);
	assert_int_equal(u32_at(p + 112), 1 << 20 | 1 << 10 | 1 << 8 | 1 << 5 | 1 << 4);
	assert_memory_equal(p + 116, port, 12); /* RESET_REG */
	assert_int_equal(p[128], 1);
	assert_memory_equal(p + 244, port, 12); /* SLEEP_CONTROL_REG */
	assert_memory_equal(p + 256, port, 12); /* SLEEP_STATUS_REG */
	/* what hardware-reduced ACPI lacks is zero */
	for (size_t i = 44; i < 109; i++)
		assert_int_equal(p[i], 0);
	for (size_t i = 148; i < 244; i++)
		assert_int_equal(p[i], 0);
}

static void madt_by_hand(void **state)
{
	static const uint8_t ioapic[12] = { 1, 12, 0, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0 };
	static const uint8_t nmi[6] = { 4, 6, 0xFF, 0, 0, 1 };
	static const uint32_t sizes[] = { 1, 2, 64 };
	static struct blob b;

	(void)state;
	for (size_t k = 0; k < countof(sizes); k++) {
		const uint8_t *p;

		blob_of(sizes[k], 0, &b);
		p = table_of(&b, "APIC");
		assert_int_equal(u32_at(p + 4), 44 + 8 * sizes[k] + 12 + 6);
		assert_int_equal(u32_at(p + 36), 0xFEE00000);
		assert_int_equal(u32_at(p + 40), 0);
		for (uint32_t i = 0; i < sizes[k]; i++) {
			const uint8_t want[8] = { 0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0 };

			assert_memory_equal(p + 44 + 8 * i, want, 8);
		}
		assert_memory_equal(p + 44 + 8 * sizes[k], ioapic, 12);
		assert_memory_equal(p + 56 + 8 * sizes[k], nmi, 6);
	}
}

static void every_device_is_described(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 3, 19 };
	static struct blob b;

	(void)state;
	for (size_t k = 0; k < countof(sizes); k++) {
		const uint8_t *p;

		blob_of(64, sizes[k], &b);
		p = table_of(&b, "DSDT");
		assert_int_equal(p[8], 2);
		assert_int_equal(count(p, "LNRO0005", 9), sizes[k]);
		assert_int_equal(count(p, "VMGENCTR", 9), 1);
		assert_int_equal(count(p, "ACPI0013", 9), 1);
		for (uint32_t i = 0; i < 19; i++) {
			const uint8_t memory[12] = {
				0x86, 9, 0, 1, 0x00, (uint8_t)(0x10 * (i + 1)),
				(uint8_t)((i + 1) >> 4), 0xC0, 0x00, 0x10, 0, 0,
			};
			const uint8_t irq[9] = { 0x89, 6, 0, 3, 1, (uint8_t)(5 + i), 0, 0, 0 };

			assert_int_equal(count(p, memory, 12), i < sizes[k]);
			assert_int_equal(count(p, irq, 9), i < sizes[k]);
		}
	}
}

static void power_off_state(void **state)
{
	static const uint8_t s5[] = {
		0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0A, 5, 0x0A, 5, 0, 0,
	};
	static struct blob b;

	(void)state;
	blob_of(1, 0, &b);
	assert_int_equal(count(table_of(&b, "DSDT"), s5, sizeof s5), 1);
}

static void same_machine_same_bytes(void **state)
{
	static struct blob a, b;

	(void)state;
	blob_of(4, 7, &a);
	blob_of(4, 7, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.bytes, b.bytes, CAP);
}

/* Everything fits with room to spare, and a smaller buffer is an error without a byte behind it. */
static void sizes(void **state)
{
	static struct blob b;
	struct shape s = shape_of(64, MIB(128), 19);
	const struct geometry *g = geometry_of(&s);

	(void)state;
	blob_of(64, 19, &b);
	assert_true(b.len <= MAP_ACPI_LEN / 2);
	for (size_t cap = 0; cap < b.len; cap += cap < 64 || cap + 64 > b.len ? 1 : 37) {
		static uint8_t part[CAP];
		struct out o = out_of(part, cap);

		memset(part, 0xA5, b.len + 64);
		assert_int_equal(acpi_plan(g, &o).code, ERR_SIZE);
		for (size_t i = cap; i < b.len + 64; i++)
			assert_int_equal(part[i], 0xA5);
	}
	geometry_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_pointer),
		cmocka_unit_test(fadt_by_hand),
		cmocka_unit_test(madt_by_hand),
		cmocka_unit_test(every_device_is_described),
		cmocka_unit_test(power_off_state),
		cmocka_unit_test(same_machine_same_bytes),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
