/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/cli/ask.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	uint32_t count;
	const char *name, *clock, *hostname, *seed;
	struct text_list disks, macs;
	bool paused, timings, json;
};

static const struct values defaults = { .count = 1 };

static const struct option options[] = {
	{ "count", 'n', OPTION_COUNT, "N", "how many (1)", offsetof(struct values, count) },
	{ "name", 0, OPTION_TEXT, "PATTERN", "what to call them; %d is their number (ZYGOTE-%d)",
	  offsetof(struct values, name) },
	{ "disk", 0, OPTION_LIST, "INDEX=FILE[,MODE]", "another file for disk INDEX; MODE is ro, rw or "
	  "cow (cow)", offsetof(struct values, disks) },
	{ "mac", 0, OPTION_LIST, "INDEX=MAC", "another address for network device INDEX",
	  offsetof(struct values, macs) },
	{ "clock", 0, OPTION_TEXT, "HOW", "frozen (goes on from where it stood) or stepped",
	  offsetof(struct values, clock) },
	{ "hostname", 0, OPTION_TEXT, "NAME", "for the guest's agent",
	  offsetof(struct values, hostname) },
	{ "seed", 0, OPTION_TEXT, "TEXT", "for the guest's agent", offsetof(struct values, seed) },
	{ "paused", 0, OPTION_FLAG, NULL, "do not let them run yet", offsetof(struct values, paused) },
	{ "timings", 0, OPTION_FLAG, NULL, "tell how long each took",
	  offsetof(struct values, timings) },
	{ "json", 0, OPTION_FLAG, NULL, "tell all as JSON", offsetof(struct values, json) },
};

/* "INDEX=REST" */
static bool index_read(const char *option, const char *text, const char *what, unsigned long *ret,
		       const char **ret_rest)
{
	size_t n = ask_split(text, ret_rest);

	*ret = n != 0 && n <= 2 && strspn(text, "0123456789") == n ? strtoul(text, NULL, 10) : 99;
	if (*ret != 99)
		return true;
	say_error("spawn", "--%s: '%s': expected INDEX=%s", option, text, what);
	return false;
}

static bool disk_read(const char *text, json_t *list)
{
	static const char *const words[] = { "ro", "rw", "cow" };
	const char *rest, *mode = "cow", *comma;
	unsigned long index;
	char *path;
	json_t *file;

	if (!index_read("disk", text, "FILE[,MODE]", &index, &rest))
		return false;
	comma = strrchr(rest, ',');
	for (size_t i = 0; comma != NULL && i < countof(words); i++)
		if (strcmp(comma + 1, words[i]) == 0)
			mode = words[i];
	if (comma != NULL && strcmp(comma + 1, mode) != 0) {
		say_error("spawn", "--disk: %s: expected ro, rw or cow behind the last comma", rest);
		return false;
	}
	path = strndup(rest, comma != NULL ? (size_t)(comma - rest) : strlen(rest));
	file = path != NULL ? ask_file(path) : NULL;
	free(path);
	if (file == NULL) {
		say_error("spawn", "--disk: %s: path is not UTF-8", rest);
		return false;
	}
	(void)json_array_append_new(list, json_pack("{s:i, s:o, s:s}", "index", (int)index, "path",
						    file, "mode", mode));
	return true;
}

/* What was not given stays out of the document. */
static bool identity_of(const struct values *v, json_t *id)
{
	json_t *disks = json_array(), *nets = json_array();

	(void)json_object_set_new(id, "disks", disks);
	(void)json_object_set_new(id, "nets", nets);
	for (size_t i = 0; i < v->disks.n; i++)
		if (!disk_read(v->disks.v[i], disks))
			return false;
	for (size_t i = 0; i < v->macs.n; i++) {
		unsigned long index;
		const char *mac;

		if (!index_read("mac", v->macs.v[i], "MAC", &index, &mac))
			return false;
		(void)json_array_append_new(nets, json_pack("{s:i, s:s}", "index", (int)index, "mac",
							    mac));
	}
	if (v->clock != NULL && strcmp(v->clock, "frozen") != 0 && strcmp(v->clock, "stepped") != 0) {
		say_error("spawn", "--clock: '%s': expected frozen or stepped", v->clock);
		return false;
	}
	(void)json_object_set_new(id, "clock", json_string(v->clock != NULL ? v->clock : "frozen"));
	if (v->hostname != NULL)
		(void)json_object_set_new(id, "hostname", json_string(v->hostname));
	if (v->seed != NULL)
		(void)json_object_set_new(id, "seed", json_string(v->seed));
	return true;
}

/* A file has a slash in its name, or is one that is there while no zygote is called so. */
static bool is_file(const char *operand)
{
	char path[] = "/spore/zygotes", *reply = NULL;
	bool found = false;
	json_t *doc, *z;
	size_t i;

	if (strchr(operand, '/') != NULL)
		return true;
	if (access(operand, F_OK) != 0 ||
	    spore_supervisor_ask("GET", path, NULL, NULL, NULL, &reply, NULL) != SPORE_OK)
		return false;
	doc = json_loads(reply, 0, NULL);
	spore_free(reply);
	json_array_foreach(json_object_get(doc, "zygotes"), i, z)
		found = found || strcmp(json_string_value(json_object_get(z, "name")), operand) == 0;
	json_decref(doc);
	return !found;
}

/* A column of µs; what has not happened yet is a dash. */
static void us_print(const json_t *child, const char *phase)
{
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(child, "timings"), "phases"), i, p) {
		if (strcmp(json_string_value(json_object_get(p, "name")), phase) == 0) {
			printf(" %12.1f", (double)json_integer_value(json_object_get(p, "ns")) / 1000.0);
			return;
		}
	}
	printf(" %12s", "-");
}

static void table_row(const json_t *child)
{
	printf("%-24s %12.1f", json_string_value(json_object_get(child, "name")),
	       (double)json_integer_value(json_object_get(child, "spawn_ns")) / 1000.0);
	us_print(child, "first entry");
	us_print(child, "first exit");
	printf("\n");
}

/* The status of the first that could not be spawned. */
static int tell(const json_t *reply, const struct values *v)
{
	const json_t *list = json_object_get(reply, "children");
	int status = STATUS_OK;
	json_t *child;
	size_t i;

	if (v->json)
		ask_print(reply);
	else if (v->timings)
		printf("%-24s %12s %12s %12s\n", "NAME", "SPAWN us", "ENTRY us", "EXIT us");
	json_array_foreach(list, i, child) {
		const char *name = json_string_value(json_object_get(child, "name"));

		if (!json_is_true(json_object_get(child, "ok"))) {
			int one = ask_fault("spawn", name, child);

			status = status == STATUS_OK ? one : status;
		} else if (!v->json && v->timings) {
			table_row(child);
		} else if (!v->json) {
			printf("%s\n", name);
		}
	}
	return status;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	json_t *body = json_object(), *id = json_object(), *reply;
	int status = STATUS_USAGE;

	(void)json_object_set_new(body, "identity", id);
	if (!identity_of(v, id)) {
		json_decref(body);
		return STATUS_USAGE;
	}
	if (is_file(operand))
		(void)json_object_set_new(body, "file", ask_file(operand));
	else
		(void)json_object_set_new(body, "zygote", json_string(operand));
	(void)json_object_set_new(body, "count", json_integer(v->count));
	(void)json_object_set_new(body, "paused", json_boolean(v->paused));
	if (v->name != NULL)
		(void)json_object_set_new(body, "name", json_string(v->name));
	if (!ask("spawn", "PUT", "/spore/spawn", body, &reply, &status))
		return status;
	status = tell(reply, v);
	json_decref(reply);
	return status;
}

const struct command command_spawn = {
	.name = "spawn", .operand = "ZYGOTE|FILE",
	.summary = "make running machines of a zygote",
	.details = "Prints their names. A FILE is a snapshot: it becomes a zygote first, and stays one. What\n"
		   "would collide is refused before any of them runs; then each is spawned or not for\n"
		   "itself, and the exit status is that of the first which was not. In --disk and\n"
		   "--hostname, %d is the child's number, too.",
	.options = options, .n_options = countof(options),
	.defaults = &defaults, .size = sizeof defaults, .run = run,
};
static_assert(sizeof(struct values) <= VALUES_MAX, "they fit");
