/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/cli/say.h"

bool size_read(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end != '\0' ? strchr(units, *end) : NULL;
	if (unit != NULL) {
		shift = 10 * ((unsigned)(unit - units) + 1);
		end++;
	}
	if (errno != 0 || *end != '\0' || n > UINT64_MAX >> shift)
		return false;
	*ret_bytes = (uint64_t)n << shift;
	return true;
}

static bool count_read(const char *text, uint32_t *ret)
{
	unsigned long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static const struct option *option_named(const struct command *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (strlen(c->options[i].name) == len &&
		    strncmp(c->options[i].name, name, len) == 0)
			return &c->options[i];
	return NULL;
}

static const struct option *option_lettered(const struct command *c, char letter)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].letter == letter && letter != '\0')
			return &c->options[i];
	return NULL;
}

static bool list_add(const struct command *c, const struct option *o, struct text_list *l,
		     const char *text)
{
	if (l->n == LIST_MAX) {
		say_error(c->name, "--%s was given more than %d times", o->name, LIST_MAX);
		return false;
	}
	l->v[l->n++] = text;
	return true;
}

/* `seen` is the bit mask of options that were there already. */
static bool value_set(const struct command *c, const struct option *o, const char *text,
		      uint64_t *seen, char *values)
{
	uint64_t bit = UINT64_C(1) << (o - c->options);
	void *at = values + o->at;

	if (o->kind != OPTION_LIST && (*seen & bit) != 0) {
		say_error(c->name, "--%s was given twice", o->name);
		return false;
	}
	*seen |= bit;
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return true;
	case OPTION_TEXT:
		*(const char **)at = text;
		return true;
	case OPTION_LIST:
		return list_add(c, o, at, text);
	case OPTION_SIZE:
		if (size_read(text, at))
			return true;
		say_error(c->name, "--%s: '%s': expected a number of bytes, or one with K, M, G or T",
			  o->name, text);
		return false;
	case OPTION_COUNT:
		if (count_read(text, at))
			return true;
		say_error(c->name, "--%s: '%s': expected a number", o->name, text);
		return false;
	}
	unreachable_by_type();
}

struct reading {
	const struct command *command;
	int argc;
	char **argv;
	int next;
	uint64_t seen;
	char *values;
	const char *operand;
};

/* The value of an option: behind '=', stuck to its letter, or the next argument. */
static bool option_take(struct reading *r, const struct option *o, const char *stuck)
{
	const char *text = stuck;

	if (o->kind == OPTION_FLAG && stuck != NULL) {
		say_error(r->command->name, "--%s takes no value", o->name);
		return false;
	}
	if (o->kind != OPTION_FLAG && text == NULL) {
		if (r->next == r->argc) {
			say_error(r->command->name, "--%s: expected %s behind it", o->name, o->value);
			return false;
		}
		text = r->argv[r->next++];
	}
	return value_set(r->command, o, text, &r->seen, r->values);
}

static bool long_option(struct reading *r, const char *arg)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
	const struct option *o = option_named(r->command, arg + 2, len - 2);

	if (o == NULL) {
		say_error(r->command->name, "unknown option '%.*s', expected one of spore %s --help",
			  (int)len, arg, r->command->name);
		return false;
	}
	return option_take(r, o, equals != NULL ? equals + 1 : NULL);
}

static bool short_option(struct reading *r, const char *arg)
{
	const struct option *o = option_lettered(r->command, arg[1]);

	if (o == NULL) {
		say_error(r->command->name, "unknown option '%.2s', expected one of spore %s --help",
			  arg, r->command->name);
		return false;
	}
	return option_take(r, o, arg[2] != '\0' ? arg + 2 : NULL);
}

static bool operand_take(struct reading *r, const char *arg)
{
	if (r->command->operand != NULL && r->operand == NULL) {
		r->operand = arg;
		return true;
	}
	say_error(r->command->name, "'%s': expected %s", arg,
		  r->command->operand != NULL ? "nothing behind the first operand" : "options only");
	return false;
}

/* False: refused. *ret_help: somebody asked. */
static bool read_all(struct reading *r, bool *ret_help)
{
	bool only_operands = false;

	while (r->next < r->argc) {
		const char *arg = r->argv[r->next++];
		bool ok;

		if (!only_operands && strcmp(arg, "--") == 0) {
			only_operands = true;
			continue;
		}
		if (!only_operands && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
			*ret_help = true;
			return true;
		}
		if (only_operands || arg[0] != '-' || arg[1] == '\0')
			ok = operand_take(r, arg);
		else
			ok = arg[1] == '-' ? long_option(r, arg) : short_option(r, arg);
		if (!ok)
			return false;
	}
	return true;
}

bool options_read(const struct command *c, int argc, char **argv, void *values,
		  const char **ret_operand, int *ret_status)
{
	struct reading r = { .command = c, .argc = argc, .argv = argv, .values = values };
	bool help = false;

	memset(values, 0, VALUES_MAX);
	if (c->defaults != NULL)
		memcpy(values, c->defaults, c->size);
	*ret_status = STATUS_USAGE;
	if (!read_all(&r, &help))
		return false;
	if (help) {
		command_help(c);
		*ret_status = 0;
		return false;
	}
	if (c->operand != NULL && r.operand == NULL && !c->operand_optional) {
		say_error(c->name, "expected %s", c->operand);
		return false;
	}
	*ret_operand = r.operand;
	return true;
}
