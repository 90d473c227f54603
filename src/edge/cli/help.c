/* SPDX-License-Identifier: Apache-2.0 */
/* spore help, and --help of every command, from the tables. */
#include <stdio.h>
#include <string.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"

static void option_line(const struct option *o)
{
	char left[64];
	char letter[8] = "    ";

	if (o->letter != '\0')
		(void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
	(void)snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "",
		       o->value ? o->value : "");
	printf("  %-34s %s\n", left, o->help);
}

void command_help(const struct command *c)
{
	printf("Usage: spore %s%s%s%s%s\n\n%s\n", c->name, c->n_options != 0 ? " [OPTION]..." : "",
	       c->operand != NULL ? (c->operand_optional ? " [" : " ") : "",
	       c->operand != NULL ? c->operand : "", c->operand_optional ? "]" : "", c->summary);
	if (c->details != NULL)
		printf("\n%s\n", c->details);
	printf("\nOptions:\n");
	for (size_t i = 0; i < c->n_options; i++)
		option_line(&c->options[i]);
	option_line(&(struct option){ .name = "help", .letter = 'h', .help = "show this" });
}

void commands_help(void)
{
	printf("Usage: spore COMMAND [OPTION]...\n\n"
	       "Boots microVMs, freezes them into files, and brings them back.\n\nCommands:\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nspore COMMAND --help tells about each.\n\n"
	       "Exit status: 0 the guest powered off, or the command did what it was asked; 1 an error\n"
	       "of the monitor; 2 wrong usage; 3 the guest reset; 4 the guest crashed; 5 stopped; 6 a\n"
	       "file was refused; 7 the host lacks something.\n");
}

static int run(const void *values, const char *operand)
{
	const struct command *c;

	(void)values;
	if (operand == NULL) {
		commands_help();
		return 0;
	}
	c = command_find(operand);
	if (c == NULL) {
		say_error("help", "unknown command '%s', expected one of spore help", operand);
		return STATUS_USAGE;
	}
	command_help(c);
	return 0;
}

const struct command command_help_page = {
	.name = "help", .operand = "COMMAND", .operand_optional = true,
	.summary = "tell about spore or one of its commands", .run = run,
};
