/* SPDX-License-Identifier: Apache-2.0 */
/* The document itself: its sections, putting them in, making one of a configuration. What the keys
 * of a section mean is config_section.c's business. */
#include "edge/lib/config_doc.h"

#include <stdio.h>
#include <string.h>

#include "edge/lib/config_section.h"

json_t *config_doc_new(void)
{
	return json_pack("{s:n, s:[], s:n, s:n, s:n, s:{s:i, s:i, s:b, s:b, s:s}, s:n, s:n, s:[], "
			 "s:n, s:n, s:[], s:n}",
			 "balloon", "drives", "boot-source", "cpu-config", "logger",
			 "machine-config", "vcpu_count", 1, "mem_size_mib", 128, "smt", 0,
			 "track_dirty_pages", 0, "huge_pages", "None", "metrics", "mmds-config",
			 "network-interfaces", "vsock", "entropy", "pmem", "memory-hotplug");
}

static err_t put_copy(json_t *object, const char *key, const json_t *body, struct diag *d)
{
	if (json_object_set_new(object, key, json_deep_copy(body)) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	return OK;
}

/* Where the drive with this id is, or the number of drives. */
static size_t drive_index(const json_t *drives, const char *id)
{
	for (size_t i = 0; i < json_array_size(drives); i++) {
		const json_t *other = json_object_get(json_array_get(drives, i), "drive_id");

		if (strcmp(json_string_value(other), id) == 0)
			return i;
	}
	return json_array_size(drives);
}

static err_t one_root(const json_t *drives, const char *id, struct diag *d)
{
	for (size_t i = 0; i < json_array_size(drives); i++) {
		const json_t *other = json_array_get(drives, i);

		if (json_is_true(json_object_get(other, "is_root_device")) &&
		    strcmp(json_string_value(json_object_get(other, "drive_id")), id) != 0)
			return diag_fail(d, FAIL(ERR_CONFIG), "A root block device already exists!");
	}
	return OK;
}

static err_t put_drive(json_t *doc, const json_t *body, struct diag *d)
{
	json_t *drives = json_object_get(doc, "drives");
	struct drive_section drive;
	json_t *copy;
	size_t at;

	TRY(drive_section_read(body, d, &drive));
	if (drive.root)
		TRY(one_root(drives, drive.id, d));
	at = drive_index(drives, drive.id);
	copy = json_deep_copy(body);
	if (copy == NULL || (at < json_array_size(drives)
			     ? json_array_set_new(drives, at, copy)
			     : json_array_append_new(drives, copy)) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	return OK;
}

err_t config_doc_put(json_t *doc, enum config_section s, const json_t *body, struct diag *d)
{
	struct boot_section boot;
	struct machine_section machine;

	switch (s) {
	case CONFIG_BOOT_SOURCE:
		TRY(boot_section_read(body, d, &boot));
		return put_copy(doc, "boot-source", body, d);
	case CONFIG_MACHINE:
		TRY(machine_section_read(body, true, d, &machine));
		/* Keys that were left out show their defaults. */
		return config_doc_patch_machine(doc, body, d);
	case CONFIG_DRIVE:
		return put_drive(doc, body, d);
	case CONFIG_ENTROPY:
		TRY(entropy_section_read(body, d));
		return put_copy(doc, "entropy", body, d);
	}
	unreachable_by_type();
}

err_t config_doc_patch_machine(json_t *doc, const json_t *body, struct diag *d)
{
	json_t *machine = json_object_get(doc, "machine-config");
	owned_json merged = json_deep_copy(machine);
	struct machine_section judged;
	const char *key;
	json_t *v;

	if (merged == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	TRY(machine_section_read(body, false, d, &judged));
	if (json_object_size(body) == 0)
		return diag_fail(d, FAIL(ERR_JSON), "no field was given, expected at least one");
	/* Two ways to say how much memory: the newer word counts. */
	if (json_object_get(body, "mem_size_mib") != NULL)
		(void)json_object_del(merged, "mem_size_kib");
	json_object_foreach((json_t *)body, key, v)
		if (!json_is_null(v) && json_object_set_new(merged, key, json_deep_copy(v)) != 0)
			return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	TRY(machine_section_read(merged, true, d, &judged));
	(void)json_object_set(doc, "machine-config", merged);
	return OK;
}

static json_t *boot_source_of(const struct spore_config *c)
{
	json_t *boot = json_pack("{s:s, s:s?, s:s?}", "kernel_image_path", c->kernel,
				 "initrd_path", c->initrd, "boot_args", c->cmdline);

	if (c->boot != SPORE_BOOT_AUTO)
		(void)json_object_set_new(boot, "boot", json_string(boot_words[c->boot]));
	return boot;
}

static json_t *machine_config_of(const struct spore_config *c)
{
	json_t *machine = json_pack("{s:I, s:I, s:b, s:b, s:s}", "vcpu_count", (json_int_t)c->cpus,
				    "mem_size_mib", (json_int_t)(c->memory >> 20), "smt", 0,
				    "track_dirty_pages", 0, "huge_pages", "None");

	if (c->memory % (1u << 20) != 0)
		(void)json_object_set_new(machine, "mem_size_kib",
					  json_integer((json_int_t)(c->memory >> 10)));
	return machine;
}

static json_t *drive_of(const struct spore_disk *disk, size_t index)
{
	char id[32];

	(void)snprintf(id, sizeof id, "disk%zu", index);
	return json_pack("{s:s, s:s, s:b, s:b, s:s}", "drive_id", id, "path_on_host", disk->path,
			 "is_root_device", 0, "is_read_only", disk->mode == SPORE_DISK_RO,
			 "mode", mode_words[disk->mode - SPORE_DISK_RO]);
}

err_t config_doc_of(const struct spore_config *c, struct diag *d, json_t **ret_doc)
{
	owned_json doc = config_doc_new();
	json_t *drives = json_object_get(doc, "drives");

	if (c->boot > SPORE_BOOT_BZIMAGE)
		return diag_fail(d, FAIL(ERR_CONFIG), "boot is %u, expected 0 to 3", c->boot);
	for (size_t i = 0; i < c->n_disks; i++) {
		if (c->disks[i].mode < SPORE_DISK_RO || c->disks[i].mode > SPORE_DISK_COW)
			return diag_fail(d, FAIL(ERR_CONFIG), "disk %zu: mode is %u, expected 1 to 3",
					 i, c->disks[i].mode);
		/* A path that is not UTF-8 cannot be said in JSON. */
		if (json_array_append_new(drives, drive_of(&c->disks[i], i)) != 0)
			return diag_fail(d, FAIL(ERR_CONFIG), "disk %zu: path is not UTF-8", i);
	}
	if (c->kernel != NULL &&
	    json_object_set_new(doc, "boot-source", boot_source_of(c)) != 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "kernel, initrd or cmdline is not UTF-8");
	if (json_object_set_new(doc, "machine-config", machine_config_of(c)) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	*ret_doc = doc;
	doc = NULL;
	return OK;
}
