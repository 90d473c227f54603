/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	const char *output;
	bool disks, stop, timings, json;
};

static const struct option options[] = {
	{ "output", 'o', OPTION_TEXT, "FILE", "the file to write; it replaces one that is there",
	  offsetof(struct values, output) },
	{ "disks", 0, OPTION_FLAG, NULL, "store a copy of each writable disk or layer beside it",
	  offsetof(struct values, disks) },
	{ "stop", 0, OPTION_FLAG, NULL, "end the machine once the file is written",
	  offsetof(struct values, stop) },
	{ "timings", 0, OPTION_FLAG, NULL, "tell how long each phase took",
	  offsetof(struct values, timings) },
	{ "json", 0, OPTION_FLAG, NULL, "tell it as JSON", offsetof(struct values, json) },
};

static int take(spore_machine *m, const struct values *v)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct progress progress = { .verb = "writing" };
	struct spore_timings timings;
	struct spore_error err;
	char *warning = NULL;
	int status;

	o.flags = SPORE_SNAPSHOT_PAUSE | (v->disks ? SPORE_SNAPSHOT_DISKS : 0u) |
		  (v->stop ? SPORE_SNAPSHOT_STOP : 0u);
	o.progress = progress_step;
	o.ctx = &progress;
	o.ret_timings = &timings;
	o.ret_warning = &warning;
	status = spore_machine_snapshot(m, v->output, &o, &err);
	progress_end(&progress);
	if (status != SPORE_OK)
		return say_failure("snapshot", &err);
	if (warning != NULL)
		say_error("snapshot", "warning: %s", warning);
	spore_free(warning);
	if (v->timings || v->json)
		say_timings(stdout, &timings, v->json, NULL);
	return STATUS_OK;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct spore_error err;
	spore_machine *m;
	int status;

	if (v->output == NULL) {
		say_error("snapshot", "expected -o FILE");
		return STATUS_USAGE;
	}
	if (spore_machine_open(operand, &m, &err) != SPORE_OK)
		return say_failure("snapshot", &err);
	status = take(m, v);
	spore_machine_free(m);
	return status;
}

const struct command command_snapshot = {
	.name = "snapshot", .operand = "NAME",
	.summary = "freeze a machine into one file",
	.details = "A running machine is paused for it and then goes on, unless --stop is given. The\n"
		   "file appears under its name complete or not at all.",
	.options = options, .n_options = countof(options), .run = run,
};
