/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/cli/cli.h"
#include "edge/cli/inspect_text.h"
#include "edge/cli/say.h"

struct values {
	bool json;
};

static const struct option options[] = {
	{ "json", 0, OPTION_FLAG, NULL, "everything but RAM, as one JSON document",
	  offsetof(struct values, json) },
};

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct spore_error err;
	json_t *doc;
	char *text;

	if (spore_inspect(operand, &text, &err) != SPORE_OK)
		return say_failure("inspect", &err);
	if (v->json) {
		say_text(text);
		return STATUS_OK;
	}
	doc = json_loads(text, 0, NULL);
	spore_free(text);
	inspect_print(doc);
	json_decref(doc);
	return STATUS_OK;
}

const struct command command_inspect = {
	.name = "inspect", .operand = "FILE",
	.summary = "tell what is in a snapshot",
	.details = "RAM is not read; spore verify does that.",
	.options = options, .n_options = countof(options), .run = run,
};
