/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration documents: what is read, what is refused with which sentence, and that a
 * configuration survives the way to a document and back. */
#include "edge/lib/config_doc.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/units.h"
#include "support/test.h"

#define BOOT "\"boot-source\":{\"kernel_image_path\":\"k\"}"

static err_t reads(const char *text, struct diag *d, struct spore_config **ret)
{
	owned_json doc = NULL;

	*d = DIAG_INIT;
	TRY(json_text_read(text, strlen(text), d, &doc));
	return config_doc_read(doc, d, ret);
}

static struct spore_config *accept(const char *text)
{
	struct spore_config *c = NULL;
	struct diag d;

	if (failed(reads(text, &d, &c)))
		fail_msg("refused: %s", d.text);
	return c;
}

static void least(void **state)
{
	owned_heap struct spore_config *c = accept("{" BOOT "}");

	(void)state;
	assert_string_equal(c->kernel, "k");
	assert_null(c->initrd);
	assert_null(c->cmdline);
	assert_int_equal(c->cpus, 1);
	assert_int_equal(c->memory, MIB(128));
	assert_int_equal(c->n_disks, 0);
	assert_int_equal(c->size, sizeof *c);
}

static void whole(void **state)
{
	owned_heap struct spore_config *c = accept(
		"{\"boot-source\":{\"kernel_image_path\":\"k\",\"initrd_path\":\"i\","
		"\"boot_args\":\"a b\",\"boot\":\"bzimage\"},"
		"\"machine-config\":{\"vcpu_count\":64,\"mem_size_kib\":65600},"
		"\"drives\":["
		"{\"drive_id\":\"a\",\"path_on_host\":\"1\",\"is_root_device\":false},"
		"{\"drive_id\":\"b\",\"path_on_host\":\"2\",\"is_root_device\":false,\"is_read_only\":true},"
		"{\"drive_id\":\"c\",\"path_on_host\":\"3\",\"is_root_device\":false,\"mode\":\"cow\"}],"
		"\"entropy\":{\"rate_limiter\":null},\"vsock\":null,\"network-interfaces\":[]}");

	(void)state;
	assert_string_equal(c->initrd, "i");
	assert_string_equal(c->cmdline, "a b");
	assert_int_equal(c->boot, SPORE_BOOT_BZIMAGE);
	assert_int_equal(c->cpus, 64);
	assert_int_equal(c->memory, KIB(65600));
	assert_int_equal(c->n_disks, 3);
	assert_int_equal(c->disks[0].mode, SPORE_DISK_RW);
	assert_int_equal(c->disks[1].mode, SPORE_DISK_RO);
	assert_int_equal(c->disks[2].mode, SPORE_DISK_COW);
	assert_string_equal(c->disks[2].path, "3");
}

static void root_first(void **state)
{
	owned_heap struct spore_config *c = accept(
		"{\"boot-source\":{\"kernel_image_path\":\"k\",\"boot_args\":\"quiet\"},\"drives\":["
		"{\"drive_id\":\"a\",\"path_on_host\":\"1\",\"is_root_device\":false},"
		"{\"drive_id\":\"b\",\"path_on_host\":\"2\",\"is_root_device\":true,\"is_read_only\":true}]}");
	owned_heap struct spore_config *p = accept(
		"{\"boot-source\":{\"kernel_image_path\":\"k\",\"boot_args\":\"quiet\"},\"drives\":["
		"{\"drive_id\":\"b\",\"path_on_host\":\"2\",\"is_root_device\":true,\"partuuid\":\"77-01\"}]}");

	(void)state;
	assert_string_equal(c->disks[0].path, "2");
	assert_string_equal(c->disks[1].path, "1");
	assert_string_equal(c->cmdline, "quiet root=/dev/vda ro");
	assert_string_equal(p->cmdline, "quiet root=PARTUUID=77-01 rw");
}

static void refused(void **state)
{
	static const struct { const char *text, *sentence; enum err_code code; } rows[] = {
		{ "[]", "invalid type: expected an object", ERR_JSON },
		{ "{}", "missing section `boot-source`", ERR_CONFIG },
		{ "{\"boot-source\":null}", "missing section `boot-source`", ERR_CONFIG },
		{ "{\"boot-source\":{}}", "boot-source: missing field `kernel_image_path`", ERR_JSON },
		{ "{\"boot-source\":{\"kernel_image_path\":null}}",
		  "boot-source: invalid type: null for `kernel_image_path`, expected a string", ERR_JSON },
		{ "{" BOOT ",\"machine-config\":{\"vcpu_count\":1}}",
		  "machine-config: missing field `mem_size_mib`", ERR_JSON },
		{ "{" BOOT ",\"machine-config\":{\"vcpu_count\":0,\"mem_size_mib\":1}}",
		  "machine-config: invalid value: integer `0` for `vcpu_count`, expected 1 to 64",
		  ERR_JSON },
		{ "{" BOOT ",\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":2,\"mem_size_kib\":9}}",
		  "machine-config: `mem_size_mib` and `mem_size_kib` disagree", ERR_CONFIG },
		{ "{" BOOT ",\"drives\":{}}",
		  "invalid type: an object for `drives`, expected an array", ERR_JSON },
		{ "{" BOOT ",\"drives\":[1]}", "drives[0]: invalid type, expected an object", ERR_JSON },
		{ "{" BOOT ",\"entropy\":{\"rate_limiter\":{}}}",
		  "entropy: `rate_limiter` is not supported, expected null", ERR_CONFIG },
		{ "{" BOOT ",\"balloon\":{}}",
		  "section `balloon` is not supported, expected null", ERR_CONFIG },
		{ "{" BOOT ",\"pmem\":[{}]}", "section `pmem` is not supported, expected []", ERR_CONFIG },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct spore_config *c = NULL;
		struct diag d;
		err_t e = reads(rows[i].text, &d, &c);

		assert_string_equal(d.text, rows[i].sentence);
		assert_int_equal(e.code, rows[i].code);
		assert_null(c);
	}
}

static void too_many_drives(void **state)
{
	char text[8192] = "{" BOOT ",\"drives\":[", one[128];
	struct spore_config *c = NULL;
	struct diag d;

	(void)state;
	for (int i = 0; i < 19; i++) {
		(void)snprintf(one, sizeof one, "%s{\"drive_id\":\"d%d\",\"is_root_device\":false,"
			       "\"path_on_host\":\"p\"}", i == 0 ? "" : ",", i);
		(void)strncat(text, one, sizeof text - strlen(text) - 1);
	}
	(void)strncat(text, "]}", sizeof text - strlen(text) - 1);
	assert_int_equal(reads(text, &d, &c).code, ERR_CONFIG);
	assert_string_equal(d.text, "19 drives, expected at most 18");
}

/* A refused piece leaves the draft as it was. */
static void draft_unharmed(void **state)
{
	owned_json doc = config_doc_new();
	owned_json before = json_deep_copy(doc);
	owned_json bad = json_pack("{s:i, s:i}", "vcpu_count", 65, "mem_size_mib", 1);
	owned_json drive = json_pack("{s:s}", "drive_id", "a");
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(config_doc_put(doc, CONFIG_MACHINE, bad, &d).code, ERR_JSON);
	assert_int_equal(config_doc_patch_machine(doc, bad, &d).code, ERR_JSON);
	assert_int_equal(config_doc_put(doc, CONFIG_DRIVE, drive, &d).code, ERR_JSON);
	assert_int_equal(config_doc_put(doc, CONFIG_BOOT_SOURCE, drive, &d).code, ERR_JSON);
	assert_true(json_equal(doc, before));
}

static void there_and_back(void **state)
{
	const struct spore_disk disks[] = { { "x", SPORE_DISK_RO, 0 }, { "y", SPORE_DISK_COW, 0 },
					    { "z", SPORE_DISK_RW, 0 } };
	const struct spore_config c = {
		.size = sizeof c, .kernel = "k", .initrd = "i", .cmdline = "c",
		.boot = SPORE_BOOT_PVH, .cpus = 3, .memory = MIB(16) + KIB(64), .disks = disks,
		.n_disks = 3,
	};
	owned_heap struct spore_config *back = NULL;
	struct diag d = DIAG_INIT;
	owned_json doc = NULL;

	(void)state;
	assert_false(failed(config_doc_of(&c, &d, &doc)));
	assert_false(failed(config_doc_read(doc, &d, &back)));
	assert_string_equal(back->kernel, "k");
	assert_string_equal(back->initrd, "i");
	assert_string_equal(back->cmdline, "c");
	assert_int_equal(back->boot, SPORE_BOOT_PVH);
	assert_int_equal(back->cpus, 3);
	assert_int_equal(back->memory, MIB(16) + KIB(64));
	assert_int_equal(back->n_disks, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(back->disks[i].path, disks[i].path);
		assert_int_equal(back->disks[i].mode, disks[i].mode);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(least),
		cmocka_unit_test(whole),
		cmocka_unit_test(root_first),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_many_drives),
		cmocka_unit_test(draft_unharmed),
		cmocka_unit_test(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
