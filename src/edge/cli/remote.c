/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/remote.h"

#include "edge/cli/say.h"

int remote_do(const char *command, const char *name,
	      int (*call)(spore_machine *m, struct spore_error *err))
{
	struct spore_error err;
	spore_machine *m;
	int status;

	if (spore_machine_open(name, &m, &err) != SPORE_OK)
		return say_failure(command, &err);
	status = call(m, &err) == SPORE_OK ? STATUS_OK : say_failure(command, &err);
	spore_machine_free(m);
	return status;
}
