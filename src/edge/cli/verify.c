/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"

static int run(const void *values, const char *operand)
{
	struct progress progress = { .verb = "reading" };
	struct spore_error err;
	int status;

	(void)values;
	status = spore_verify(operand, progress_step, &progress, &err);
	progress_end(&progress);
	if (status != SPORE_OK)
		return say_failure("verify", &err);
	printf("%s: whole, and may be restored here\n", operand);
	return STATUS_OK;
}

const struct command command_verify = {
	.name = "verify", .operand = "FILE",
	.summary = "read all of a snapshot and say whether it may be restored here",
	.details = "Everything is read and compared with its checksums, RAM too. Then the host is held\n"
		   "against what the machine needs. Exit status 6: the file was refused; 7: this host\n"
		   "lacks something.",
	.run = run,
};
