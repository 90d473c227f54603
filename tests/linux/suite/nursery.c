/* SPDX-License-Identifier: Apache-2.0 */
/* nursery.c: boots, freezes, branches and spawns machines as it is told by lines on its standard input,
 * for zygote.py. It sees the library as others do. It trusts who drives it, and no guest.
 *
 *     boot NAME KERNEL INITRD CPUS MIB DISK COMMAND LINE     a machine in this process; its disk is rw
 *     spawn NAME ZYGOTE WALLS      in a worker; WALLS left out: "-" or words with commas; "unjailed": here
 *     freeze NAME ZYGOTE           the machine becomes the zygote, and its name is free again
 *     branch NAME ZYGOTE           = ok NANOSECONDS that it stood still
 *     save ZYGOTE FILE             with its disks
 *     type NAME TEXT               at its console
 *     stop NAME                    and forget it
 *     free ZYGOTE
 *
 * Each is answered by a line "= ok ..." or "= error STATUS why". What guests say comes in between as
 * "NAME> LINE", and their ends as "NAME! OUTCOME why". */
#include <errno.h>
#include <poll.h>
#include <spore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1024, NAME = 64, LINE = 4096, WORDS = 7, WALLS = 8 };

struct nursling {
	char name[NAME];
	spore_machine *m; /* NULL: a free place */
	uint64_t at;      /* how much of its console was read */
	size_t n;         /* of its last line, not whole yet */
	char line[LINE];
	bool ended;
};

struct kept {
	char name[NAME];
	spore_zygote *z; /* NULL: a free place */
};

struct nursery {
	struct nursling *machines;
	struct kept zygotes[MOST];
	size_t n; /* of what was typed, a command that is not whole yet */
	char typed[2 * LINE];
};

static void name_copy(char *to, const char *name)
{
	snprintf(to, NAME, "%s", name);
}

static struct nursling *machine_find(struct nursery *y, const char *name)
{
	for (int i = 0; i < MOST; i++)
		if ((y->machines[i].m != NULL) == (name != NULL) &&
		    (name == NULL || strcmp(y->machines[i].name, name) == 0))
			return &y->machines[i];
	return NULL;
}

static struct kept *zygote_find(struct nursery *y, const char *name)
{
	for (int i = 0; i < MOST; i++)
		if ((y->zygotes[i].z != NULL) == (name != NULL) &&
		    (name == NULL || strcmp(y->zygotes[i].name, name) == 0))
			return &y->zygotes[i];
	return NULL;
}

static int unknown(struct spore_error *err)
{
	snprintf(err->text, sizeof err->text, "no such name, or no place for another");
	return SPORE_ERR_NOT_FOUND;
}

/* ---- what guests say ---- */

static void console_tell(struct nursling *g, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || g->n == sizeof g->line) {
			printf("%s> %.*s\n", g->name, (int)g->n, g->line);
			g->n = 0;
		}
		if (bytes[i] != '\n' && bytes[i] != '\r')
			g->line[g->n++] = bytes[i];
	}
}

static void console_drain(struct nursling *g)
{
	char bytes[LINE];
	uint64_t from;
	size_t n;

	for (;;) {
		if (spore_machine_output(g->m, g->at, bytes, sizeof bytes, &from, &n, NULL) || n == 0)
			return;
		if (from != g->at)
			printf("%s> FAIL: %llu bytes of its console were lost\n", g->name,
			       (unsigned long long)(from - g->at));
		g->at = from + n;
		console_tell(g, bytes, n);
	}
}

static void end_tell(struct nursling *g)
{
	enum spore_outcome outcome = SPORE_OUTCOME_NONE;
	struct spore_error why = { .text = "" };

	if (spore_machine_wait(g->m, 0, &outcome, &why, NULL) != SPORE_OK ||
	    outcome == SPORE_OUTCOME_NONE)
		return;
	console_drain(g);
	g->ended = true;
	printf("%s! %s: %s\n", g->name, spore_outcome_text(outcome), why.text);
}

/* ---- commands: words[1] and on; what is said after "= ok" goes to `say` ---- */

typedef int command(struct nursery *y, char **words, char *say, struct spore_error *err);

static int do_boot(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct spore_config c = SPORE_CONFIG_INIT;
	struct spore_disk disk = { words[6], SPORE_DISK_RW, 0 };
	struct nursling *g = machine_find(y, NULL);
	int status;

	(void)say;
	if (g == NULL)
		return unknown(err);
	c.name = words[1];
	c.kernel = words[2];
	c.initrd = words[3];
	c.cpus = (uint32_t)strtoul(words[4], NULL, 10);
	c.memory = strtoull(words[5], NULL, 10) << 20;
	c.disks = &disk;
	c.n_disks = 1;
	c.cmdline = words[7];
	*g = (struct nursling){ .m = NULL };
	name_copy(g->name, words[1]);
	status = spore_machine_new(NULL, &g->m, err);
	if (status == SPORE_OK)
		status = spore_machine_boot(g->m, &c, err);
	if (status != SPORE_OK) {
		spore_machine_free(g->m);
		g->m = NULL;
	}
	return status;
}

static int do_spawn(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	struct spore_jail jail = SPORE_JAIL_INIT;
	const char *walls[WALLS + 1] = { NULL };
	struct nursling *g = machine_find(y, NULL);
	struct kept *k = zygote_find(y, words[2]);
	char *rest = NULL;
	size_t n = 0;

	(void)say;
	if (g == NULL || k == NULL)
		return unknown(err);
	*g = (struct nursling){ .m = NULL };
	name_copy(g->name, words[1]);
	id.name = words[1];
	o.identity = &id;
	o.flags = SPORE_SPAWN_RESUME;
	if (strcmp(words[3], "unjailed") == 0)
		return spore_spawn_unjailed(k->z, &o, &g->m, err);
	for (char *w = strtok_r(words[3], ",-", &rest); w && n < WALLS; w = strtok_r(NULL, ",-", &rest))
		walls[n++] = w;
	jail.without = walls;
	o.jail = &jail;
	return spore_spawn(k->z, &o, &g->m, err);
}

static int do_freeze(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct spore_freeze_options o = SPORE_FREEZE_OPTIONS_INIT;
	struct nursling *g = machine_find(y, words[1]);
	struct kept *k = zygote_find(y, NULL);
	int status;

	(void)say;
	if (g == NULL || k == NULL)
		return unknown(err);
	o.flags = SPORE_FREEZE_PAUSE;
	status = spore_machine_freeze(g->m, &o, &k->z, err);
	if (status != SPORE_OK)
		return status;
	console_drain(g);
	spore_machine_free(g->m);
	g->m = NULL;
	name_copy(k->name, words[2]);
	return SPORE_OK;
}

static int do_branch(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct spore_branch_options o = SPORE_BRANCH_OPTIONS_INIT;
	struct nursling *g = machine_find(y, words[1]);
	struct kept *k = zygote_find(y, NULL);
	uint64_t ns = 0;
	int status;

	if (g == NULL || k == NULL)
		return unknown(err);
	o.ret_pause_ns = &ns;
	status = spore_machine_branch(g->m, &o, &k->z, err);
	if (status == SPORE_OK) {
		name_copy(k->name, words[2]);
		sprintf(say, " %llu", (unsigned long long)ns);
	}
	return status;
}

static int do_save(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct kept *k = zygote_find(y, words[1]);

	(void)say;
	return k == NULL ? unknown(err) : spore_zygote_save(k->z, words[2], NULL, err);
}

static int do_type(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct nursling *g = machine_find(y, words[1]);
	char text[LINE];
	const char *left = text;
	size_t taken;
	int status;

	(void)say;
	if (g == NULL)
		return unknown(err);
	snprintf(text, sizeof text, "%s\n", words[2]);
	for (; *left != '\0'; left += taken) {
		taken = 0;
		status = spore_machine_input(g->m, left, strlen(left), &taken, err);
		if (status != SPORE_OK)
			return status;
		console_drain(g); /* or a guest that says much never reads */
	}
	return SPORE_OK;
}

static int do_stop(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct nursling *g = machine_find(y, words[1]);
	int status;

	(void)say;
	if (g == NULL)
		return unknown(err);
	status = spore_machine_stop(g->m, err);
	spore_machine_free(g->m);
	g->m = NULL;
	return status;
}

static int do_free(struct nursery *y, char **words, char *say, struct spore_error *err)
{
	struct kept *k = zygote_find(y, words[1]);

	(void)say;
	if (k == NULL)
		return unknown(err);
	spore_zygote_free(k->z);
	k->z = NULL;
	return SPORE_OK;
}

/* How many words follow; the last of them is the rest of the line. */
static const struct {
	const char *word;
	int words;
	command *run;
} commands[] = {
	{ "boot", 7, do_boot },     { "spawn", 3, do_spawn }, { "freeze", 2, do_freeze },
	{ "branch", 2, do_branch }, { "save", 2, do_save },   { "type", 2, do_type },
	{ "stop", 1, do_stop },     { "free", 1, do_free },
};

static void obey(struct nursery *y, char *line)
{
	struct spore_error err = { .text = "not a command, or too few words" };
	char *words[WORDS + 1], say[NAME] = "", *at = line;
	int n = 0, status = SPORE_ERR_USAGE;

	words[n++] = strsep(&at, " ");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(words[0], commands[i].word) != 0)
			continue;
		for (; n < commands[i].words && at != NULL; n++)
			words[n] = strsep(&at, " ");
		if (at != NULL) {
			words[n] = at;
			status = commands[i].run(y, words, say, &err);
		}
	}
	if (status == SPORE_OK)
		printf("= ok%s\n", say);
	else
		printf("= error %s %s\n", spore_status_name(status), err.text);
}

/* False when there are no more. */
static bool commands_take(struct nursery *y)
{
	ssize_t n = read(STDIN_FILENO, y->typed + y->n, sizeof y->typed - 1 - y->n);
	char *line = y->typed, *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	y->n += (size_t)n;
	y->typed[y->n] = '\0';
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		obey(y, line);
	}
	y->n = strlen(line);
	memmove(y->typed, line, y->n);
	return true;
}

/* Waits until there is something to do; whether that is a command. */
static bool wait_for_something(struct nursery *y)
{
	struct pollfd p[2 * MOST + 1] = { { STDIN_FILENO, POLLIN, 0 } };
	nfds_t n = 1;

	for (int i = 0; i < MOST; i++) {
		struct nursling *g = &y->machines[i];

		if (g->m == NULL || g->ended)
			continue;
		p[n++] = (struct pollfd){ spore_machine_output_fd(g->m), POLLIN, 0 };
		p[n++] = (struct pollfd){ spore_machine_event_fd(g->m), POLLIN, 0 };
	}
	(void)poll(p, n, -1);
	for (int i = 0; i < MOST; i++) {
		if (y->machines[i].m == NULL || y->machines[i].ended)
			continue;
		console_drain(&y->machines[i]);
		end_tell(&y->machines[i]);
	}
	return p[0].revents != 0;
}

int main(void)
{
	static struct nursery y;

	y.machines = calloc(MOST, sizeof *y.machines);
	if (y.machines == NULL)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (!wait_for_something(&y) || commands_take(&y))
		;
	for (int i = 0; i < MOST; i++) {
		spore_machine_free(y.machines[i].m);
		spore_zygote_free(y.zygotes[i].z);
	}
	free(y.machines);
	return 0;
}
