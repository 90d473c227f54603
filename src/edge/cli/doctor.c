/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	bool json;
};

static const struct option options[] = {
	{ "json", 0, OPTION_FLAG, NULL, "as JSON", offsetof(struct values, json) },
};

static const char *text_at(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

static void table(const json_t *doc)
{
	const json_t *rows = json_object_get(doc, "rows");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *r = json_array_get(rows, i);

		printf("%-5s %-24s %s\n", text_at(r, "level"), text_at(r, "name"),
		       text_at(r, "value"));
		if (text_at(r, "advice")[0] != '\0')
			printf("%-5s %-24s   -> %s\n", "", "", text_at(r, "advice"));
	}
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct spore_error err;
	json_t *doc;
	char *text;
	bool ok;

	(void)operand;
	if (spore_doctor(&text, &err) != SPORE_OK)
		return say_failure("doctor", &err);
	doc = json_loads(text, 0, NULL);
	ok = json_is_true(json_object_get(doc, "ok"));
	if (v->json)
		printf("%s\n", text);
	else
		table(doc);
	json_decref(doc);
	spore_free(text);
	return ok ? STATUS_OK : STATUS_HOST;
}

const struct command command_doctor = {
	.name = "doctor", .summary = "tell what this host can do, and what to do about what it cannot",
	.details = "Exit status 7 when something that every machine needs is missing.",
	.options = options, .n_options = countof(options), .run = run,
};
