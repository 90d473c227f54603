/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of each section: Firecracker's, and three of spore's own (`boot` in boot-source,
 * `mem_size_kib` in machine-config, `mode` in a drive). What Firecracker has and spore does not is
 * accepted in its off position and refused plainly otherwise. */
#include "edge/lib/config_section.h"

#include <ctype.h>
#include <string.h>

#include <spore.h>

#include "plan/config.h"
#include "plan/map_x86_64.h"

#define MAP_MIB_MAX (MAP_RAM_MAX >> 20)

const char *const boot_words[] = { "auto", "pvh", "linux64", "bzimage", NULL };
const char *const mode_words[] = { "ro", "rw", "cow", NULL };

/* Accepted so that a document written for Firecracker is read, when it asks for nothing. */
static err_t refuse(bool asked, const char *key, const char *expected, struct diag *d)
{
	if (!asked)
		return OK;
	return diag_fail(d, FAIL(ERR_CONFIG), "`%s` is not supported, expected %s", key, expected);
}

err_t boot_section_read(const json_t *j, struct diag *d, struct boot_section *ret)
{
	struct boot_section b = { .boot = SPORE_BOOT_AUTO };
	const struct json_field fields[] = {
		JSON_FIELD("kernel_image_path", STRING, JSON_REQUIRED, &b.kernel),
		JSON_FIELD("initrd_path", STRING, JSON_NULLABLE, &b.initrd),
		JSON_FIELD("boot_args", STRING, JSON_NULLABLE, &b.args),
		JSON_FIELD("boot", WORD, JSON_NULLABLE, &b.boot, .words = boot_words),
	};

	TRY(json_object_read(j, fields, countof(fields), d));
	*ret = b;
	return OK;
}

static err_t machine_extras(bool smt, bool dirty, uint32_t pages, uint32_t template,
			    struct diag *d)
{
	TRY(refuse(smt, "smt", "false", d));
	TRY(refuse(dirty, "track_dirty_pages", "false", d));
	TRY(refuse(pages != 0, "huge_pages", "`None`", d));
	return refuse(template != 0, "cpu_template", "`None`", d);
}

err_t machine_section_read(const json_t *j, bool whole, struct diag *d,
			   struct machine_section *ret)
{
	static const char *const page_words[] = { "None", "Transparent", "2M", NULL };
	static const char *const templates[] = { "None", "C3", "T2", "T2S", "T2CL", "T2A", "V1N1",
						 NULL };
	uint64_t cpus = 1, mib = 128, kib = 0;
	uint32_t pages = 0, template = 0;
	bool smt = false, dirty = false, by_kib = false, by_mib = false;
	const unsigned need = whole ? JSON_REQUIRED : JSON_NULLABLE;
	const struct json_field fields[] = {
		JSON_FIELD("vcpu_count", UINT, need, &cpus, .least = 1, .most = SHAPE_VCPUS_MAX),
		JSON_FIELD("mem_size_mib", UINT, JSON_NULLABLE, &mib, .least = 1, .most = MAP_MIB_MAX,
		  .ret_given = &by_mib),
		JSON_FIELD("mem_size_kib", UINT, JSON_NULLABLE, &kib, .least = 1, .most = MAP_MIB_MAX << 10,
		  .ret_given = &by_kib),
		JSON_FIELD("smt", BOOL, whole ? 0 : JSON_NULLABLE, &smt),
		JSON_FIELD("track_dirty_pages", BOOL, whole ? 0 : JSON_NULLABLE, &dirty),
		JSON_FIELD("huge_pages", WORD, whole ? 0 : JSON_NULLABLE, &pages,
		  .words = page_words),
		JSON_FIELD("cpu_template", WORD, JSON_NULLABLE, &template, .words = templates),
	};

	TRY(json_object_read(j, fields, countof(fields), d));
	TRY(machine_extras(smt, dirty, pages, template, d));
	if (whole && !by_kib && !by_mib)
		return diag_fail(d, FAIL(ERR_JSON), "missing field `mem_size_mib`");
	if (by_kib && by_mib && kib >> 10 != mib)
		return diag_fail(d, FAIL(ERR_CONFIG), "`mem_size_mib` and `mem_size_kib` disagree");
	*ret = (struct machine_section){ (uint32_t)cpus, by_kib ? kib << 10 : mib << 20 };
	return OK;
}

static err_t drive_id_check(const char *id, struct diag *d)
{
	size_t n = strlen(id);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && id[i] != '_')
			n = 0;
	if (n == 0 || n > 64)
		return diag_fail(d, FAIL(ERR_CONFIG), "`drive_id` is not valid, expected 1 to 64 "
				 "letters, digits and underscores");
	return OK;
}

struct drive_extras {
	const json_t *limiter;
	const char *socket;
	uint32_t cache, engine;
};

static err_t drive_extras_check(const struct drive_extras *x, struct diag *d)
{
	TRY(refuse(x->limiter != NULL, "rate_limiter", "null", d));
	TRY(refuse(x->socket != NULL, "socket", "null", d));
	return OK;
}

err_t drive_section_read(const json_t *j, struct diag *d, struct drive_section *ret)
{
	static const char *const caches[] = { "Unsafe", "Writeback", NULL };
	static const char *const engines[] = { "Sync", "Async", NULL };
	struct drive_section v = { .id = NULL };
	struct drive_extras x = { NULL, NULL, 0, 0 };
	uint32_t mode = 0;
	bool read_only = false, said = false, by_mode = false;
	const struct json_field fields[] = {
		JSON_FIELD("drive_id", STRING, JSON_REQUIRED, &v.id),
		JSON_FIELD("is_root_device", BOOL, JSON_REQUIRED, &v.root),
		JSON_FIELD("path_on_host", STRING, JSON_REQUIRED | JSON_NULLABLE, &v.path),
		JSON_FIELD("is_read_only", BOOL, JSON_NULLABLE, &read_only, .ret_given = &said),
		JSON_FIELD("mode", WORD, JSON_NULLABLE, &mode, .words = mode_words,
		  .ret_given = &by_mode),
		JSON_FIELD("partuuid", STRING, JSON_NULLABLE, &v.partuuid),
		JSON_FIELD("cache_type", WORD, JSON_NULLABLE, &x.cache, .words = caches),
		JSON_FIELD("io_engine", WORD, JSON_NULLABLE, &x.engine, .words = engines),
		JSON_FIELD("rate_limiter", OBJECT, JSON_NULLABLE, &x.limiter),
		JSON_FIELD("socket", STRING, JSON_NULLABLE, &x.socket),
	};

	TRY(json_object_read(j, fields, countof(fields), d));
	TRY(drive_id_check(v.id, d));
	TRY(drive_extras_check(&x, d));
	v.mode = by_mode ? mode + SPORE_DISK_RO : read_only ? SPORE_DISK_RO : SPORE_DISK_RW;
	if (said && by_mode && read_only != (v.mode == SPORE_DISK_RO))
		return diag_fail(d, FAIL(ERR_CONFIG), "`is_read_only` and `mode` disagree");
	*ret = v;
	return OK;
}

err_t entropy_section_read(const json_t *j, struct diag *d)
{
	const json_t *limiter = NULL;
	const struct json_field fields[] = {
		JSON_FIELD("rate_limiter", OBJECT, JSON_NULLABLE, &limiter),
	};

	TRY(json_object_read(j, fields, countof(fields), d));
	return refuse(limiter != NULL, "rate_limiter", "null", d);
}
