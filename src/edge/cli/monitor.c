/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/cli.h"
#include "edge/cli/say.h"
#include "edge/cli/session.h"

struct values {
	const char *api_sock, *name;
};

static const struct option options[] = {
	{ "api-sock", 0, OPTION_TEXT, "PATH", "the control socket", offsetof(struct values, api_sock) },
	{ "name", 0, OPTION_TEXT, "NAME", "a name in the runtime directory, too",
	  offsetof(struct values, name) },
};

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct session_options o = { .command = "monitor", .api_sock = v->api_sock,
				     .publish = v->name != NULL };
	struct session *s;
	int status;

	(void)operand;
	if (v->api_sock == NULL) {
		say_error("monitor", "expected --api-sock PATH");
		return STATUS_USAGE;
	}
	s = session_open(&o, &status);
	if (s == NULL || !session_serve(s, v->name, &status))
		return status;
	return session_run(s);
}

const struct command command_monitor = {
	.name = "monitor",
	.summary = "wait on a control socket to be told what to be",
	.details = "The machine is told what to be, started, frozen and stopped by HTTP requests on the\n"
		   "socket, in the shapes of Firecracker's API. Its console is on the terminal.",
	.options = options, .n_options = countof(options), .run = run,
};
