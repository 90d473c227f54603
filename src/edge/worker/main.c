/* SPDX-License-Identifier: Apache-2.0 */
/* spore-worker: the process that workers are born in, and each of them: one machine in a process that
 * can do almost nothing. Started by a supervisor; not for use by hand. */
#include <stdio.h>

#include "life/nursery.h"
#include "life/worker_serve.h"

int main(int argc, char **argv)
{
	int status = nursery_serve(argc, argv, worker_serve);

	if (status == 2)
		(void)fprintf(stderr, "spore-worker: is started by spore, and not by hand\n");
	return status;
}
