/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/cli.h"
#include "edge/cli/remote.h"

static int run(const void *values, const char *operand)
{
	(void)values;
	return remote_do("pause", operand, spore_machine_pause);
}

const struct command command_pause = {
	.name = "pause", .operand = "NAME", .summary = "stop a machine's processors", .run = run,
};
