/* SPDX-License-Identifier: Apache-2.0 */
#include <spore.h>
#include <stdio.h>

#include "edge/cli/cli.h"


static int run(const void *values, const char *operand)
{
	(void)values;
	(void)operand;
	printf("spore %s\n", spore_version());
	return 0;
}

const struct command command_version = {
	.name = "version", .summary = "tell the version", .run = run,
};
