/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "edge/cli/ask.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	const char *rm, *save, *output, *open, *as;
	bool json;
};

static const struct option options[] = {
	{ "rm", 0, OPTION_TEXT, "ZYGOTE", "forget one; its children live on",
	  offsetof(struct values, rm) },
	{ "save", 0, OPTION_TEXT, "ZYGOTE", "write one to a file", offsetof(struct values, save) },
	{ "output", 'o', OPTION_TEXT, "FILE", "this file; it replaces one that is there",
	  offsetof(struct values, output) },
	{ "open", 0, OPTION_TEXT, "FILE", "make one of a snapshot", offsetof(struct values, open) },
	{ "as", 0, OPTION_TEXT, "ZYGOTE", "and call it so", offsetof(struct values, as) },
	{ "json", 0, OPTION_FLAG, NULL, "as JSON", offsetof(struct values, json) },
};

static const char *text_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

static json_int_t number_at(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static int list(const struct values *v)
{
	json_t *reply, *z;
	int status;
	size_t i;

	if (!ask("zygotes", "GET", "/spore/zygotes", NULL, &reply, &status))
		return status;
	if (v->json) {
		ask_print(json_object_get(reply, "zygotes"));
		json_decref(reply);
		return STATUS_OK;
	}
	printf("%-20s %5s %9s %10s %8s  %s\n", "NAME", "CPUS", "MEMORY", "RESIDENT", "CHILDREN",
	       "FROM");
	json_array_foreach(json_object_get(reply, "zygotes"), i, z) {
		const json_t *info = json_object_get(z, "info");
		const char *file = text_at(z, "file");

		printf("%-20s %5" PRIi64 " %8" PRIi64 "M %9" PRIi64 "K %8" PRIi64 "  %s\n",
		       text_at(z, "name"), (int64_t)number_at(info, "vcpus"),
		       (int64_t)number_at(info, "memory") >> 20,
		       (int64_t)number_at(info, "resident") >> 10, (int64_t)number_at(z, "children"),
		       file[0] != '\0' ? file : text_at(z, "machine"));
	}
	json_decref(reply);
	return STATUS_OK;
}

static int save(const struct values *v)
{
	const char *warning;
	char path[160];
	json_t *reply;
	int status;

	if (!ask_path("zygotes", "zygotes", v->save, "save", path, sizeof path))
		return STATUS_USAGE;
	if (!ask("zygotes", "PUT", path, json_pack("{s:o}", "snapshot_path", ask_file(v->output)),
		 &reply, &status))
		return status;
	warning = json_string_value(json_object_get(reply, "warning"));
	if (warning != NULL)
		say_error("zygotes", "warning: %s", warning);
	json_decref(reply);
	return STATUS_OK;
}

static int change(const struct values *v)
{
	const char *name = v->rm != NULL ? v->rm : v->as;
	char path[160];
	int status;

	if (!ask_path("zygotes", "zygotes", name, "", path, sizeof path))
		return STATUS_USAGE;
	return ask("zygotes", v->rm != NULL ? "DELETE" : "PUT", path,
		   v->rm != NULL ? NULL : json_pack("{s:o}", "file", ask_file(v->open)), NULL,
		   &status) ? STATUS_OK : status;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	int n = (v->rm != NULL) + (v->save != NULL) + (v->open != NULL);

	(void)operand;
	if (n > 1 || (n != 0 && v->json)) {
		say_error("zygotes", "expected one of --rm, --save, --open and --json");
		return STATUS_USAGE;
	}
	if ((v->save != NULL) != (v->output != NULL)) {
		say_error("zygotes", "--save and -o go together");
		return STATUS_USAGE;
	}
	if ((v->open != NULL) != (v->as != NULL)) {
		say_error("zygotes", "--open and --as go together");
		return STATUS_USAGE;
	}
	if (n == 0)
		return list(v);
	return v->save != NULL ? save(v) : change(v);
}

const struct command command_zygotes = {
	.name = "zygotes",
	.summary = "list zygotes; save, open or forget one",
	.options = options, .n_options = countof(options), .run = run,
};
