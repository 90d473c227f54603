/* SPDX-License-Identifier: Apache-2.0 */
/* spore-worker: the process that workers are born in, and each of them: one machine in a process that
 * can do almost nothing. Also the process that keeps machines for the next supervisor. Started by a
 * supervisor; not for use by hand. */
#include <stdio.h>
#include <string.h>

#include "life/keeper_parts.h"
#include "life/nursery.h"
#include "life/worker_serve.h"

int main(int argc, char **argv)
{
	int status;

	if (argc == 2 && strcmp(argv[1], KEEPER_WORD) == 0)
		return keeper_serve();
	status = nursery_serve(argc, argv, worker_serve);
	if (status == 2)
		(void)fprintf(stderr, "spore-worker: is started by spore, and not by hand\n");
	return status;
}
