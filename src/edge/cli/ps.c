/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"

struct values {
	bool json;
};

static const struct option options[] = {
	{ "json", 0, OPTION_FLAG, NULL, "as JSON", offsetof(struct values, json) },
};

static const char *state_word(int32_t state)
{
	static const char *const words[] = { "not started", "running", "paused", "ended" };

	if (state == SPORE_ROW_KEPT)
		return "kept";
	return state >= 0 && state < (int32_t)countof(words) ? words[state] : "busy";
}

static void age(int64_t started, char *ret, size_t cap)
{
	int64_t s = (int64_t)time(NULL) - started;

	s = s > 0 ? s : 0;
	if (s < 120)
		(void)snprintf(ret, cap, "%" PRId64 "s", s);
	else if (s < 7200)
		(void)snprintf(ret, cap, "%" PRId64 "m", s / 60);
	else
		(void)snprintf(ret, cap, "%" PRId64 "h", s / 3600);
}

static void table(const struct spore_machine_row *rows, size_t n)
{
	printf("%-20s %-12s %8s %5s %9s %6s  %s\n", "NAME", "STATE", "PID", "CPUS", "MEMORY", "UP",
	       "KERNEL");
	for (size_t i = 0; i < n; i++) {
		char up[24];

		age(rows[i].started, up, sizeof up);
		printf("%-20s %-12s %8" PRId64 " %5" PRIu32 " %8" PRIu64 "M %6s  %s\n", rows[i].name,
		       state_word(rows[i].state), rows[i].pid, rows[i].cpus, rows[i].memory >> 20,
		       up, rows[i].kernel);
	}
}

static void document(const struct spore_machine_row *rows, size_t n)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_pack(
			"{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "name", rows[i].name, "state",
			state_word(rows[i].state), "pid", (json_int_t)rows[i].pid, "cpus",
			(json_int_t)rows[i].cpus, "memory", (json_int_t)rows[i].memory, "started",
			(json_int_t)rows[i].started, "kernel", rows[i].kernel, "socket",
			rows[i].socket));
	text = json_dumps(list, JSON_INDENT(2));
	json_decref(list);
	printf("%s\n", text != NULL ? text : "[]");
	free(text);
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct spore_machine_row *rows;
	struct spore_error err;
	size_t n;

	(void)operand;
	if (spore_machines_list(&rows, &n, &err) != SPORE_OK)
		return say_failure("ps", &err);
	if (v->json)
		document(rows, n);
	else
		table(rows, n);
	spore_machines_free(rows, n);
	return STATUS_OK;
}

const struct command command_ps = {
	.name = "ps", .summary = "list the machines that are there",
	.options = options, .n_options = countof(options), .run = run,
};
