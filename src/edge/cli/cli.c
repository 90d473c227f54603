/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command, reads its options, runs it. */
#include "edge/cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "edge/cli/say.h"

const struct command *const commands[] = {
	&command_run, &command_ps, &command_pause, &command_resume, &command_stop,
	&command_console, &command_snapshot, &command_restore, &command_inspect, &command_verify,
	&command_serve, &command_freeze, &command_branch, &command_spawn, &command_zygotes, &command_tree,
	&command_pool, &command_monitor, &command_doctor, &command_help_page, &command_version, NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int cli_main(int argc, char **argv)
{
	_Alignas(max_align_t) char values[VALUES_MAX];
	const struct command *c;
	const char *operand = NULL;
	const char *word = argc > 1 ? argv[1] : "";
	int status;

	/* A reader that went away is a failed write, not a death. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* A write beyond RLIMIT_FSIZE is to fail (EFBIG), not to end a running machine. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		say_error("", "expected a command, one of spore help");
		return STATUS_USAGE;
	}
	if (strcmp(word, "--version") == 0)
		word = "version";
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		word = "help";
	c = command_find(word);
	if (c == NULL) {
		say_error("", "unknown command '%s', expected one of spore help", word);
		return STATUS_USAGE;
	}
	if (!options_read(c, argc - 2, argv + 2, values, &operand, &status))
		return status;
	status = c->run(values, operand);
	if (fflush(stdout) != 0 && status == STATUS_OK) {
		say_error(c->name, "standard output: cannot be written");
		return STATUS_MONITOR;
	}
	return status;
}
