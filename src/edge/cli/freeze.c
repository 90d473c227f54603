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

/* The same request, but for what becomes of the machine. */
static int to_zygote(const char *command, const struct values *v, const char *machine, bool branch)
{
	char path[160];
	int status;

	if (v->as == NULL) {
		say_error(command, "expected --as ZYGOTE");
		return STATUS_USAGE;
	}
	if (!ask_path(command, "zygotes", v->as, "", path, sizeof path))
		return STATUS_USAGE;
	return ask(command, "PUT", path, json_pack("{s:s, s:b}", "machine", machine, "branch", branch),
		   NULL, &status) ? STATUS_OK : status;
}

static int freeze(const void *values, const char *operand)
{
	return to_zygote("freeze", values, operand, false);
}

static int branch(const void *values, const char *operand)
{
	return to_zygote("branch", values, operand, true);
}

const struct command command_freeze = {
	.name = "freeze", .operand = "NAME",
	.summary = "turn a machine into a zygote",
	.details = "The machine ends and the supervisor has the zygote: spore serve must be there.",
	.options = options, .n_options = countof(options), .run = freeze,
};

const struct command command_branch = {
	.name = "branch", .operand = "NAME",
	.summary = "make a zygote of a running machine, which goes on",
	.details = "It stands still for milliseconds. The supervisor has the zygote: spore serve must be "
		   "there.",
	.options = options, .n_options = countof(options), .run = branch,
};
