/* SPDX-License-Identifier: Apache-2.0 */
/* document -> spore_config. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/lib/config_doc.h"
#include "edge/lib/config_section.h"
#include "edge/lib/error.h"
#include "plan/config.h"
#include "plan/map.h"


struct parts {
	const json_t *drives, *boot, *machine, *entropy;
	const json_t *nets, *pmems;
	const json_t *others[8];
};

/* Sections of Firecracker's that ask for something spore does not have. */
static err_t others_refuse(const struct parts *p, struct diag *d)
{
	static const char *const names[] = { "balloon", "cpu-config", "logger", "metrics",
					     "mmds-config", "vsock", "memory-hotplug", "serial" };

	for (size_t i = 0; i < countof(names); i++)
		if (p->others[i] != NULL)
			return diag_fail(d, FAIL(ERR_CONFIG),
					 "section `%s` is not supported, expected null", names[i]);
	if (json_array_size(p->nets) != 0)
		return diag_fail(d, FAIL(ERR_CONFIG),
				 "section `network-interfaces` is not supported, expected []");
	if (json_array_size(p->pmems) != 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "section `pmem` is not supported, expected []");
	return OK;
}

static err_t parts_read(const json_t *doc, struct diag *d, struct parts *ret)
{
	struct parts p = { .drives = NULL };
	const struct json_field fields[] = {
		JSON_FIELD("boot-source", OBJECT, JSON_NULLABLE, &p.boot),
		JSON_FIELD("machine-config", OBJECT, JSON_NULLABLE, &p.machine),
		JSON_FIELD("drives", ARRAY, JSON_NULLABLE, &p.drives),
		JSON_FIELD("entropy", OBJECT, JSON_NULLABLE, &p.entropy),
		JSON_FIELD("network-interfaces", ARRAY, JSON_NULLABLE, &p.nets),
		JSON_FIELD("pmem", ARRAY, JSON_NULLABLE, &p.pmems),
		JSON_FIELD("balloon", OBJECT, JSON_NULLABLE, &p.others[0]),
		JSON_FIELD("cpu-config", OBJECT, JSON_NULLABLE, &p.others[1]),
		JSON_FIELD("logger", OBJECT, JSON_NULLABLE, &p.others[2]),
		JSON_FIELD("metrics", OBJECT, JSON_NULLABLE, &p.others[3]),
		JSON_FIELD("mmds-config", OBJECT, JSON_NULLABLE, &p.others[4]),
		JSON_FIELD("vsock", OBJECT, JSON_NULLABLE, &p.others[5]),
		JSON_FIELD("memory-hotplug", OBJECT, JSON_NULLABLE, &p.others[6]),
		JSON_FIELD("serial", OBJECT, JSON_NULLABLE, &p.others[7]),
	};

	TRY(json_object_read(doc, fields, countof(fields), d));
	TRY(others_refuse(&p, d));
	*ret = p;
	return OK;
}

static err_t drive_at(const json_t *drives, size_t i, struct diag *d, struct drive_section *ret)
{
	const json_t *j = json_array_get(drives, i);
	char where[24];
	err_t e;

	(void)snprintf(where, sizeof where, "drives[%zu]", i);
	if (!json_is_object(j))
		return diag_fail(d, FAIL(ERR_JSON), "%s: invalid type, expected an object", where);
	e = drive_section_read(j, d, ret);
	if (failed(e))
		diag_prefix(d, where);
	return e;
}

/* Root first, the others in the order given. */
static err_t drives_read(const json_t *drives, struct diag *d, struct drive_section *ret,
			 size_t *ret_n)
{
	struct drive_section v;
	size_t n = json_array_size(drives);
	size_t roots = 0, at = 1;

	if (n > SPORE_DISKS_MAX)
		return diag_fail(d, FAIL(ERR_CONFIG), "%zu drives, expected at most %d", n,
				 SPORE_DISKS_MAX);
	for (size_t i = 0; i < n; i++) {
		TRY(drive_at(drives, i, d, &v));
		roots += v.root ? 1 : 0;
		for (size_t k = 0; k < i; k++)
			if (strcmp(v.id, json_string_value(json_object_get(
						 json_array_get(drives, k), "drive_id"))) == 0)
				return diag_fail(d, FAIL(ERR_CONFIG),
						 "drives: `%s` appears twice", v.id);
	}
	if (roots > 1)
		return diag_fail(d, FAIL(ERR_CONFIG), "A root block device already exists!");
	at = roots;
	for (size_t i = 0; i < n; i++) {
		TRY(drive_at(drives, i, d, &v));
		ret[v.root ? 0 : at++] = v;
	}
	*ret_n = n;
	return OK;
}

static err_t section(const char *name, err_t e, struct diag *d)
{
	if (failed(e))
		diag_prefix(d, name);
	return e;
}

/* Firecracker's rule: a root drive is named on the command line. */
static void cmdline_make(const struct boot_section *b, const struct drive_section *root, char *ret,
			 size_t cap)
{
	const char *args = b->args != NULL ? b->args : map_cmdline();
	const char *how = root->mode == SPORE_DISK_RO ? "ro" : "rw";

	if (root->partuuid != NULL)
		(void)snprintf(ret, cap, "%s root=PARTUUID=%s %s", args, root->partuuid, how);
	else
		(void)snprintf(ret, cap, "%s root=/dev/vda %s", args, how);
}

static err_t config_of_parts(const struct parts *p, struct diag *d, struct spore_config **ret)
{
	struct drive_section drives[SPORE_DISKS_MAX];
	struct spore_disk disks[SPORE_DISKS_MAX];
	struct boot_section boot;
	struct machine_section machine = { 1, MIB(128) };
	char cmdline[4096];
	size_t n = 0; /* gcc 12 does not see that drives_read sets it when it succeeds */

	if (p->boot == NULL)
		return diag_fail(d, FAIL(ERR_CONFIG), "missing section `boot-source`");
	TRY(section("boot-source", boot_section_read(p->boot, d, &boot), d));
	if (p->machine != NULL)
		TRY(section("machine-config", machine_section_read(p->machine, true, d, &machine), d));
	if (p->entropy != NULL)
		TRY(section("entropy", entropy_section_read(p->entropy, d), d));
	TRY(drives_read(p->drives, d, drives, &n));
	for (size_t i = 0; i < n; i++)
		disks[i] = (struct spore_disk){ drives[i].path, drives[i].mode, 0 };
	if (n != 0 && drives[0].root) {
		cmdline_make(&boot, &drives[0], cmdline, sizeof cmdline);
		boot.args = cmdline;
	}
	return config_copy(&(struct spore_config){
		.size = sizeof(struct spore_config), .kernel = boot.kernel, .initrd = boot.initrd,
		.cmdline = boot.args, .boot = boot.boot, .cpus = machine.cpus,
		.memory = machine.memory, .disks = disks, .n_disks = n,
	}, d, ret);
}

err_t config_doc_read(const json_t *doc, struct diag *d, struct spore_config **ret)
{
	struct parts p;

	TRY(parts_read(doc, d, &p));
	return config_of_parts(&p, d, ret);
}

/* Moves a string to the end of the block that is being filled. */
static const char *keep(const char *s, char **io_at)
{
	char *at = *io_at;
	size_t n;

	if (s == NULL)
		return NULL;
	n = strlen(s) + 1;
	memcpy(at, s, n);
	*io_at = at + n;
	return at;
}

static size_t room(const char *s)
{
	return s != NULL ? strlen(s) + 1 : 0;
}

err_t config_copy(const struct spore_config *c, struct diag *d, struct spore_config **ret)
{
	size_t need = sizeof *c + c->n_disks * sizeof *c->disks + room(c->name) + room(c->kernel) +
		      room(c->initrd) + room(c->cmdline);
	struct spore_config *copy;
	struct spore_disk *disks;
	char *at;

	for (size_t i = 0; i < c->n_disks; i++)
		need += room(c->disks[i].path);
	copy = malloc(need);
	if (copy == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "the configuration: out of memory");
	*copy = *c;
	disks = (struct spore_disk *)(copy + 1);
	at = (char *)(disks + c->n_disks);
	copy->name = keep(c->name, &at);
	copy->kernel = keep(c->kernel, &at);
	copy->initrd = keep(c->initrd, &at);
	copy->cmdline = keep(c->cmdline, &at);
	for (size_t i = 0; i < c->n_disks; i++) {
		disks[i] = c->disks[i];
		disks[i].path = keep(c->disks[i].path, &at);
	}
	copy->disks = c->n_disks != 0 ? disks : NULL;
	*ret = copy;
	return OK;
}

int spore_config_read(const char *json, size_t len, struct spore_config **ret_config,
		      struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	owned_json doc = NULL;
	err_t e = json_text_read(json, len, &d, &doc);

	if (!failed(e))
		e = config_doc_read(doc, &d, ret_config);
	return error_give(e, &d, err);
}
