/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/cli.h"
#include "edge/cli/remote.h"

static int run(const void *values, const char *operand)
{
	(void)values;
	return remote_do("resume", operand, spore_machine_resume);
}

const struct command command_resume = {
	.name = "resume", .operand = "NAME", .summary = "let a paused machine go on", .run = run,
};
