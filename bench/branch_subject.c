/* SPDX-License-Identifier: Apache-2.0 */
/* Branches of a machine in this process, by the public library, measured as subject.c says: a line on
 * standard input is one round, its nanoseconds a line on standard output. Trusts its caller.
 *
 *   branch_subject first KERNEL MIB
 *        how long a machine that was booted stood still at its first branch: all of its memory is
 *        resident and has been written, and it writes 200 MiB/s
 *   branch_subject again KERNEL MIB WRITTEN
 *        how long it stood still, that many MiB having been written since the branch before
 *   branch_subject touch|retouch KERNEL MIB
 *        how long the guest takes to write to every page; retouch: after a branch */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"

#define MIB UINT64_C(0x100000)
#define HOLE (3072 * MIB) /* memory goes on at 4 GiB */
enum { FREE_FROM = 16, MIB_PER_S = 200, WORK_MS = 300 };

struct subject {
	const char *kernel;
	uint64_t mib;
	spore_machine *machine;
	uint64_t seen; /* of its output */
};

static void ask(struct subject *s, const char *command)
{
	char line[DRIVE_LINE];

	type(s->machine, command);
	line_await(s->machine, "ok", &s->seen, line);
}

/* Adds one to a byte of every page of the first `mib` MiB. */
static void touch(struct subject *s, uint64_t mib)
{
	uint64_t low = mib * MIB < HOLE ? mib * MIB : HOLE;
	char command[DRIVE_LINE];

	(void)snprintf(command, sizeof command, "touch %#lx %#lx\n", FREE_FROM * MIB, low - FREE_FROM * MIB);
	ask(s, command);
	if (mib * MIB <= HOLE)
		return;
	(void)snprintf(command, sizeof command, "touch %#lx %#lx\n", 4096 * MIB, mib * MIB - HOLE);
	ask(s, command);
}

static void boot(struct subject *s)
{
	struct spore_machine_options o = SPORE_MACHINE_OPTIONS_INIT;
	struct spore_config c = SPORE_CONFIG_INIT;
	char line[DRIVE_LINE];
	struct spore_error e;

	c.kernel = s->kernel;
	c.memory = s->mib * MIB;
	s->seen = 0;
	must(spore_machine_new(&o, &s->machine, &e), &e);
	must(spore_machine_boot(s->machine, &c, &e), &e);
	line_await(s->machine, "tguest: ready", &s->seen, line);
	touch(s, s->mib);
}

static uint64_t branch(struct subject *s)
{
	struct spore_branch_options o = SPORE_BRANCH_OPTIONS_INIT;
	struct spore_error e;
	spore_zygote *z;
	uint64_t pause_ns;

	o.ret_pause_ns = &pause_ns;
	must(spore_machine_branch(s->machine, &o, &z, &e), &e);
	spore_zygote_free(z);
	return pause_ns;
}

/* It compares what it wrote when it is told to stop. */
static uint64_t round_first(struct subject *s)
{
	char command[DRIVE_LINE];
	uint64_t pause_ns;

	boot(s);
	(void)snprintf(command, sizeof command, "churn %d %#lx %#lx\n", MIB_PER_S, FREE_FROM * MIB,
		       (s->mib * MIB < HOLE ? s->mib * MIB : HOLE) - FREE_FROM * MIB);
	type(s->machine, command);
	(void)nanosleep(&(struct timespec){ .tv_nsec = WORK_MS * 1000000L }, NULL);
	pause_ns = branch(s);
	ask(s, "\n");
	spore_machine_free(s->machine);
	s->machine = NULL;
	return pause_ns;
}

static uint64_t round_again(struct subject *s, uint64_t written)
{
	touch(s, FREE_FROM + written);
	return branch(s);
}

static uint64_t round_touch(struct subject *s, bool after_branch)
{
	uint64_t from;

	if (after_branch)
		(void)branch(s);
	from = now_ns();
	touch(s, s->mib);
	return now_ns() - from;
}

static uint64_t round_of(struct subject *s, const char *what, uint64_t written)
{
	if (strcmp(what, "first") == 0)
		return round_first(s);
	if (s->machine == NULL) {
		boot(s);
		(void)branch(s);
		touch(s, s->mib); /* as it is from then on */
	}
	if (strcmp(what, "again") == 0)
		return round_again(s, written);
	return round_touch(s, strcmp(what, "retouch") == 0);
}

int main(int argc, char **argv)
{
	struct subject s = { .kernel = argc > 3 ? argv[2] : NULL };
	uint64_t written = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	char line[16];

	if (s.kernel == NULL)
		errx(2, "usage: branch_subject first|again|touch|retouch KERNEL MIB [WRITTEN]");
	s.mib = strtoull(argv[3], NULL, 10);
	while (fgets(line, sizeof line, stdin) != NULL) {
		(void)printf("%lu\n", round_of(&s, argv[1], written));
		(void)fflush(stdout);
	}
	spore_machine_free(s.machine);
	return 0;
}
