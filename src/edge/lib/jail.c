/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/jail.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "machine/jail/jail.h"

enum { JAIL_LEAST = sizeof(struct spore_jail) };

static err_t walls_take(const char *const *words, struct diag *d, uint32_t *ret_without)
{
	uint32_t without = 0;

	for (; words != NULL && *words != NULL; words++) {
		enum jail_wall w;

		if (!jail_wall_parse(*words, &w))
			return diag_fail(d, FAIL(ERR_USAGE), "%s: is no wall of a jail, expected userns, "
					 "pidns, mountns, netns, ipcns, utsns, landlock or seccomp",
					 *words);
		without |= JAIL_WITHOUT(w);
	}
	*ret_without = without;
	return OK;
}

/* Beside the program, where it was built; else where it was installed. */
static const char *worker_path(char buffer[static PATH_MAX])
{
	const char *env = getenv("SPORE_WORKER");
	ssize_t n;
	char *slash;

	if (env != NULL && env[0] != '\0')
		return env;
	n = readlink("/proc/self/exe", buffer, PATH_MAX - sizeof "/spore-worker");
	if (n > 0) {
		buffer[n] = '\0';
		slash = strrchr(buffer, '/');
		memcpy(slash, "/spore-worker", sizeof "/spore-worker");
		if (access(buffer, X_OK) == 0)
			return buffer;
	}
	return SPORE_WORKER_PATH;
}

const char *jail_program(const struct spore_jail *jail, char buffer[static PATH_MAX])
{
	return jail != NULL && jail->worker != NULL ? jail->worker : worker_path(buffer);
}

err_t jail_kit_new(const struct spore_jail *jail, const struct image *machine, struct diag *d,
		   struct worker_kit **ret_kit)
{
	struct spore_jail j = SPORE_JAIL_INIT;
	struct worker_kit_options o = { 0 };
	char path[PATH_MAX];

	TRY(options_take(jail, JAIL_LEAST, sizeof j, &j, "spore_jail", d));
	TRY(options_check(j.flags, 0, j.reserved, "spore_jail", d));
	TRY(walls_take(j.without, d, &o.without));
	o.program = jail_program(&j, path);
	o.cgroup = j.cgroup;
	return worker_kit_new(machine, &o, d, ret_kit);
}

err_t jail_kit_of(spore_zygote *z, struct diag *d, struct worker_kit **ret_kit)
{
	err_t e = OK;

	(void)pthread_mutex_lock(&z->lock);
	if (z->kit == NULL)
		e = jail_kit_new(NULL, zygote_image(z->zygote), d, &z->kit);
	if (!failed(e))
		*ret_kit = worker_kit_again(z->kit);
	(void)pthread_mutex_unlock(&z->lock);
	return e;
}
