/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/cli/ask.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	const char *as;
};

static const struct option options[] = {
	{ "as", 0, OPTION_TEXT, "ZYGOTE", "what to call the zygote", offsetof(struct values, as) },
};

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	char path[160];
	int status;

	if (v->as == NULL) {
		say_error("freeze", "expected --as ZYGOTE");
		return STATUS_USAGE;
	}
	if (!ask_path("freeze", "zygotes", v->as, "", path, sizeof path))
		return STATUS_USAGE;
	return ask("freeze", "PUT", path, json_pack("{s:s}", "machine", operand), NULL, &status)
	       ? STATUS_OK : status;
}

const struct command command_freeze = {
	.name = "freeze", .operand = "NAME",
	.summary = "turn a machine into a zygote",
	.details = "The machine ends and the supervisor has the zygote: spore serve must be there.",
	.options = options, .n_options = countof(options), .run = run,
};
