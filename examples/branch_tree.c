/* SPDX-License-Identifier: Apache-2.0 */
/* Grows a tree of the test guest of this repository: a machine is given a number to remember, is frozen,
 * and two are spawned of it, which are given theirs; and so on. In the end each leaf is asked for all
 * the numbers on its way from the root.
 *
 *     branch_tree build/guest/tguest.elf [DEPTH]
 *
 *     cc branch_tree.c $(pkg-config --cflags --libs spore) */
#include <poll.h>
#include <spore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 256, DEPTH_MOST = 12, CHILDREN = 2, NOTES = 0x2000000 /* where it remembers */ };

static void must(int status, const struct spore_error *err)
{
	if (status == SPORE_OK)
		return;
	fprintf(stderr, "%s (%s)\n", err->text, spore_status_name(status));
	exit(1);
}

/* The next line of its console from *at on. */
static void read_line(spore_machine *m, uint64_t *at, char *line)
{
	struct pollfd p = { spore_machine_output_fd(m), POLLIN, 0 };
	struct spore_error err;
	char *end = NULL;
	size_t n = 0;

	while (end == NULL) {
		must(spore_machine_output(m, *at, line, LINE - 1, at, &n, &err), &err);
		line[n] = '\0';
		end = strchr(line, '\n');
		if (end == NULL)
			poll(&p, 1, -1);
	}
	*end = '\0';
	*at += (uint64_t)(end - line) + 1;
}

/* Types a line and reads the answer, which is to begin with "ok". */
static void ask(spore_machine *m, uint64_t *at, const char *question, char *line)
{
	size_t left = strlen(question), taken = 0;
	struct spore_error err;

	for (; left > 0; question += taken, left -= taken)
		must(spore_machine_input(m, question, left, &taken, &err), &err);
	read_line(m, at, line);
	if (strncmp(line, "ok", 2) != 0) {
		fprintf(stderr, "the guest says: %s\n", line);
		exit(1);
	}
}

/* The numbers on the way to a leaf, from its own memory. */
static void check_leaf(spore_machine *m, uint64_t *at, const unsigned *way, unsigned depth)
{
	char question[64], wanted[32], line[LINE];

	for (unsigned i = 0; i <= depth; i++) {
		snprintf(question, sizeof question, "peek %#x\n", NOTES + 4096 * i);
		ask(m, at, question, line);
		snprintf(wanted, sizeof wanted, "=%#x", way[i]);
		if (strstr(line, wanted) == NULL) {
			fprintf(stderr, "a leaf remembers %s, expected %s\n", line, wanted);
			exit(1);
		}
	}
}

struct tree {
	unsigned depth;
	unsigned nodes, leaves;
	unsigned way[DEPTH_MOST + 1];
};

/* Takes the machine, which runs and waits for a line. */
static void grow(struct tree *t, spore_machine *m, unsigned level, uint64_t at)
{
	struct spore_freeze_options freeze = SPORE_FREEZE_OPTIONS_INIT;
	struct spore_spawn_options spawn = SPORE_SPAWN_OPTIONS_INIT;
	char question[64], line[LINE];
	struct spore_error err;
	spore_zygote *zygote;

	t->way[level] = ++t->nodes;
	snprintf(question, sizeof question, "poke %#x %#x\n", NOTES + 4096 * level, t->way[level]);
	ask(m, &at, question, line);
	if (level == t->depth) {
		check_leaf(m, &at, t->way, level);
		t->leaves++;
		spore_machine_free(m);
		return;
	}
	freeze.flags = SPORE_FREEZE_PAUSE;
	must(spore_machine_freeze(m, &freeze, &zygote, &err), &err);
	spore_machine_free(m);
	spawn.flags = SPORE_SPAWN_RESUME;
	for (int i = 0; i < CHILDREN; i++) {
		must(spore_spawn_unjailed(zygote, &spawn, &m, &err), &err);
		grow(t, m, level + 1, 0);
	}
	spore_zygote_free(zygote);
}

int main(int argc, char **argv)
{
	struct tree t = { argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 4, 0, 0, { 0 } };
	struct spore_config config = SPORE_CONFIG_INIT;
	struct spore_error err;
	spore_machine *m;
	uint64_t at = 0;
	char line[LINE];

	if (argc < 2 || t.depth > DEPTH_MOST) {
		fprintf(stderr, "usage: branch_tree TGUEST [DEPTH, at most %d]\n", DEPTH_MOST);
		return 2;
	}
	config.kernel = argv[1];
	must(spore_machine_new(NULL, &m, &err), &err);
	must(spore_machine_boot(m, &config, &err), &err);
	read_line(m, &at, line);
	grow(&t, m, 0, at);
	printf("%u machines, %u leaves that remember their way\n", t.nodes, t.leaves);
	return 0;
}
