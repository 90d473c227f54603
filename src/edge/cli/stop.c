/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/cli.h"
#include "edge/cli/remote.h"

static int run(const void *values, const char *operand)
{
	(void)values;
	return remote_do("stop", operand, spore_machine_stop);
}

const struct command command_stop = {
	.name = "stop", .operand = "NAME", .summary = "end a machine", .run = run,
};
