/* SPDX-License-Identifier: Apache-2.0 */
/* spore-worker: one machine in a process that can do almost nothing. Started by a supervisor, with
 * its socket at descriptor 3; not for use by hand. */
#include <err.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "life/worker_serve.h"

enum { SOCKET = 3, FILES_MAX = 1024, THREADS_MAX = 256 };

static unsigned long long number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		errx(2, "%s: is not a number", text);
	return n;
}

int main(int argc, char **argv)
{
	struct jail_options jail = { .netns = -1, .cgroup = -1,
				     .limits = { .files = FILES_MAX, .threads = THREADS_MAX } };

	if (argc != 4)
		errx(2, "is started by spore, and not by hand");
	jail.uid = (uint32_t)number(argv[1]);
	jail.without = (uint32_t)number(argv[2]);
	jail.limits.file_bytes = number(argv[3]);
	/* Nothing is run on the way out: filtered threads are still there. */
	/* It was executed by its descriptor, of which the kernel would make its name. */
	(void)prctl(PR_SET_NAME, "spore-worker");
	_exit(worker_serve(SOCKET, &jail));
}
