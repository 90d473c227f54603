/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/cli/ask.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	struct text_list set, armed;
	bool json;
};

static const struct option options[] = {
	{ "set", 0, OPTION_LIST, "ZYGOTE=N", "keep N workers ready for such a machine",
	  offsetof(struct values, set) },
	{ "armed", 0, OPTION_LIST, "ZYGOTE=N", "keep N children of it ready, all but running",
	  offsetof(struct values, armed) },
	{ "json", 0, OPTION_FLAG, NULL, "as JSON", offsetof(struct values, json) },
};

static int64_t number_at(const json_t *j, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(j, key));
}

/* "ZYGOTE=N" */
static int change(const char *option, const char *key, const char *text)
{
	const char *rest = "";
	size_t n = ask_split(text, &rest);
	char name[80], path[160];
	int status;

	(void)snprintf(name, sizeof name, "%.*s", (int)(n < 70 ? n : 70), text);
	if (n == 0 || strlen(rest) > 9 || rest[strspn(rest, "0123456789")] != '\0') {
		say_error("pool", "--%s: '%s': expected ZYGOTE=N", option, text);
		return STATUS_USAGE;
	}
	if (!ask_path("pool", "pools", name, "", path, sizeof path))
		return STATUS_USAGE;
	return ask("pool", "PUT", path, json_pack("{s:I}", key, (json_int_t)strtoul(rest, NULL, 10)),
		   NULL, &status) ? STATUS_OK : status;
}

static void table(const json_t *pools)
{
	json_t *p;
	size_t i;

	printf("%-20s %12s %12s %9s %6s %10s %10s %8s\n", "ZYGOTE", "READY", "ARMED", "BUILDING",
	       "DEAD", "FROM READY", "FROM ARMED", "COLD");
	json_array_foreach(pools, i, p) {
		char ready[32], armed[32];

		(void)snprintf(ready, sizeof ready, "%" PRIi64 "/%" PRIi64, number_at(p, "shells"),
			       number_at(p, "wanted_shells"));
		(void)snprintf(armed, sizeof armed, "%" PRIi64 "/%" PRIi64, number_at(p, "armed"),
			       number_at(p, "wanted_armed"));
		printf("%-20s %12s %12s %9" PRIi64 " %6" PRIi64 " %10" PRIi64 " %10" PRIi64
		       " %8" PRIi64 "\n", json_string_value(json_object_get(p, "zygote")), ready,
		       armed, number_at(p, "building"), number_at(p, "dead"),
		       number_at(p, "from_shell"), number_at(p, "from_armed"), number_at(p, "cold"));
	}
	json_array_foreach(pools, i, p)
		if (number_at(p, "failures") != 0)
			say_error("pool", "%s: %" PRIi64 " could not be made; the last one: %s",
				  json_string_value(json_object_get(p, "zygote")),
				  number_at(p, "failures"),
				  json_string_value(json_object_get(p, "failure")));
}

static int list(bool json)
{
	json_t *reply;
	int status;

	if (!ask("pool", "GET", "/spore/pools", NULL, &reply, &status))
		return status;
	if (json)
		ask_print(json_object_get(reply, "pools"));
	else
		table(json_object_get(reply, "pools"));
	json_decref(reply);
	return STATUS_OK;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	int status = STATUS_OK;

	(void)operand;
	for (size_t i = 0; i < v->set.n && status == STATUS_OK; i++)
		status = change("set", "shells", v->set.v[i]);
	for (size_t i = 0; i < v->armed.n && status == STATUS_OK; i++)
		status = change("armed", "armed", v->armed.v[i]);
	if (status == STATUS_OK && ((v->set.n == 0 && v->armed.n == 0) || v->json))
		status = list(v->json);
	return status;
}

const struct command command_pool = {
	.name = "pool",
	.summary = "list what is kept ready; say how much is to be",
	.options = options, .n_options = countof(options), .run = run,
};
static_assert(sizeof(struct values) <= VALUES_MAX, "they fit");
