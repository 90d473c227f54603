/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing and restoring: in Firecracker's words, and in our own where it has none. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "edge/api/routes.h"
#include "edge/lib/json_read.h"

static bool same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* One file holds everything here. */
static err_t memory_file_check(const char *snapshot, const char *memory, const char *key,
			       struct diag *d)
{
	if (memory == NULL || same_file(snapshot, memory))
		return OK;
	return diag_fail(d, FAIL(ERR_CONFIG), "`%s` names another file than `snapshot_path`, "
			 "expected the same: memory and state are in one file", key);
}

err_t route_snapshot_create(const struct call *c, struct diag *d, json_t **ret_body)
{
	static const char *const types[] = { "Full", "Diff", NULL };
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_server *s = c->server;
	const char *path = NULL, *memory = NULL;
	uint32_t type = 0;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
		JSON_FIELD("mem_file_path", STRING, JSON_NULLABLE, &memory),
		JSON_FIELD("snapshot_type", WORD, JSON_NULLABLE, &type, .words = types),
	};

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	TRY(memory_file_check(path, memory, "mem_file_path", d));
	if (type != 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "`snapshot_type` `Diff` is not supported, "
				 "expected `Full`");
	o.progress = http_progress;
	o.ctx = &s->http;
	return call_result(c, spore_machine_snapshot(s->machine, path, &o, &s->fault),
			   "Create snapshot error", d);
}

err_t route_snapshot(const struct call *c, struct diag *d, json_t **ret_body)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_server *s = c->server;
	struct spore_timings timings = { .n = 0 };
	owned_heap char *warning = NULL;
	const char *path = NULL;
	bool disks = false, pause = false, stop = false;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
		JSON_FIELD("disks", BOOL, 0, &disks),
		JSON_FIELD("pause", BOOL, 0, &pause),
		JSON_FIELD("stop", BOOL, 0, &stop),
	};

	TRY(json_object_read(c->body, fields, countof(fields), d));
	o.flags = (disks ? SPORE_SNAPSHOT_DISKS : 0u) | (pause ? SPORE_SNAPSHOT_PAUSE : 0u) |
		  (stop ? SPORE_SNAPSHOT_STOP : 0u);
	o.progress = http_progress;
	o.ctx = &s->http;
	o.ret_timings = &timings;
	o.ret_warning = &warning;
	TRY(call_result(c, spore_machine_snapshot(s->machine, path, &o, &s->fault), NULL, d));
	*ret_body = json_pack("{s:o, s:s?}", "timings", timings_json(&timings), "warning", warning);
	return OK;
}

/* What of Firecracker's restore asks for something that spore does not have. */
struct load_extras {
	const json_t *nets, *vsock;
	bool dirty, diff, clock;
	uint32_t pages;
};

static err_t load_extras_check(const struct load_extras *x, struct diag *d)
{
	const char *key = x->dirty ? "track_dirty_pages" : x->diff ? "enable_diff_snapshots" :
			  json_array_size(x->nets) != 0 ? "network_overrides" :
			  x->vsock != NULL ? "vsock_override" : x->clock ? "clock_realtime" :
			  x->pages > 1 ? "huge_pages" : NULL;

	if (key == NULL)
		return OK;
	return diag_fail(d, FAIL(ERR_CONFIG), "`%s` is not supported, expected it to be left out",
			 key);
}

static err_t mem_backend_read(const json_t *j, struct diag *d, const char **ret_path)
{
	static const char *const types[] = { "File", "Uffd", NULL };
	uint32_t type = 0;
	const struct json_field fields[] = {
		JSON_FIELD("backend_type", WORD, JSON_REQUIRED, &type, .words = types),
		JSON_FIELD("backend_path", STRING, JSON_REQUIRED, ret_path),
	};

	if (j == NULL)
		return OK;
	TRY(json_object_read(j, fields, countof(fields), d));
	if (type != 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "`backend_type` `Uffd` is not supported, "
				 "expected `File`");
	return OK;
}

static err_t load(const struct call *c, const char *path, struct spore_restore_options *o,
		  const char *prefix, struct diag *d)
{
	struct spore_server *s = c->server;

	if (s->configured)
		return diag_fail(d, FAIL(ERR_STATE), "Load snapshot error: Loading a microVM snapshot "
				 "not allowed after configuring boot-specific resources.");
	if (o->name == NULL && s->claim.name[0] != '\0')
		o->name = s->claim.name;
	o->progress = http_progress;
	o->ctx = &s->http;
	TRY(call_result(c, spore_machine_restore(s->machine, path, o, &s->fault), prefix, d));
	info_write(s);
	return OK;
}

err_t route_snapshot_load(const struct call *c, struct diag *d, json_t **ret_body)
{
	static const char *const pages[] = { "Snapshot", "None", "Transparent", "2M", NULL };
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct load_extras x = { .nets = NULL };
	const char *path = NULL, *memory = NULL, *backend_path = NULL;
	const json_t *backend = NULL;
	bool resume = false;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
		JSON_FIELD("mem_backend", OBJECT, JSON_NULLABLE, &backend),
		JSON_FIELD("mem_file_path", STRING, JSON_NULLABLE, &memory),
		JSON_FIELD("resume_vm", BOOL, 0, &resume),
		JSON_FIELD("track_dirty_pages", BOOL, 0, &x.dirty),
		JSON_FIELD("enable_diff_snapshots", BOOL, 0, &x.diff),
		JSON_FIELD("network_overrides", ARRAY, 0, &x.nets),
		JSON_FIELD("vsock_override", OBJECT, JSON_NULLABLE, &x.vsock),
		JSON_FIELD("clock_realtime", BOOL, 0, &x.clock),
		JSON_FIELD("huge_pages", WORD, 0, &x.pages, .words = pages),
	};

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	TRY(load_extras_check(&x, d));
	TRY(mem_backend_read(backend, d, &backend_path));
	TRY(memory_file_check(path, memory, "mem_file_path", d));
	TRY(memory_file_check(path, backend_path, "backend_path", d));
	o.flags = resume ? SPORE_RESTORE_RESUME : 0;
	return load(c, path, &o, "Load snapshot error", d);
}

static err_t disks_read(const json_t *list, struct spore_restore_disk *ret, struct diag *d)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);
		uint64_t index = 0;
		const struct json_field fields[] = {
			JSON_FIELD("index", UINT, JSON_REQUIRED, &index,
				   .most = SPORE_DISKS_MAX - 1),
			JSON_FIELD("path", STRING, JSON_REQUIRED, &ret[i].path),
		};

		if (!json_is_object(j))
			return diag_fail(d, FAIL(ERR_JSON), "invalid type for `disks`, expected a "
					 "list of objects");
		TRY(json_object_read(j, fields, countof(fields), d));
		ret[i].index = (uint32_t)index;
		ret[i].reserved = 0;
	}
	return OK;
}

err_t route_restore(const struct call *c, struct diag *d, json_t **ret_body)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct spore_restore_disk disks[SPORE_DISKS_MAX];
	const char *path = NULL;
	const json_t *list = NULL;
	bool verify = false, resume = false;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
		JSON_FIELD("name", STRING, JSON_NULLABLE, &o.name),
		JSON_FIELD("disks", ARRAY, JSON_NULLABLE, &list),
		JSON_FIELD("verify", BOOL, 0, &verify),
		JSON_FIELD("resume", BOOL, 0, &resume),
	};

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	if (json_array_size(list) > countof(disks))
		return diag_fail(d, FAIL(ERR_JSON), "%zu disks, expected at most %zu",
				 json_array_size(list), countof(disks));
	TRY(disks_read(list, disks, d));
	o.disks = disks;
	o.n_disks = json_array_size(list);
	o.flags = (verify ? SPORE_RESTORE_VERIFY : 0u) | (resume ? SPORE_RESTORE_RESUME : 0u);
	return load(c, path, &o, NULL, d);
}
