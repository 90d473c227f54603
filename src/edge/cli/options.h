/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and their options as tables. One parser reads them for every command, one printer makes
 * --help of them; the manual pages and the shell completion are compared with them by the tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum option_kind {
	OPTION_FLAG,  /* bool */
	OPTION_TEXT,  /* const char * */
	OPTION_SIZE,  /* uint64_t: bytes, with K, M, G or T */
	OPTION_COUNT, /* uint32_t */
	OPTION_LIST,  /* struct text_list: may be given again and again */
};

enum { LIST_MAX = 32, OPERANDS_MAX = 1, VALUES_MAX = 2048 };

struct text_list {
	size_t n;
	const char *v[LIST_MAX];
};

struct option {
	const char *name; /* without the dashes */
	char letter;      /* -o, or 0 */
	enum option_kind kind;
	const char *value; /* for people: FILE; NULL for a flag */
	const char *help;
	size_t at; /* of its value in the command's values */
};

struct command {
	const char *name;
	const char *operand; /* for people: NAME, FILE; NULL: none */
	bool operand_optional;
	const char *summary; /* one line */
	const char *details; /* paragraphs for --help, or NULL */
	const struct option *options;
	size_t n_options;
	const void *defaults; /* what the values are before; NULL: all zero */
	size_t size;          /* of the defaults */
	/* `values` is the command's own structure, the defaults and over them what was given. Returns the
	 * exit status. */
	int (*run)(const void *values, const char *operand);
};

/* Ends the list. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);

/* Reads argv[0..argc) into `values` (VALUES_MAX bytes, aligned for anything). True: go on. False:
 * it was refused, or --help was asked for and given; *ret_status says with which exit status. */
must_check bool options_read(const struct command *c, int argc, char **argv, void *values,
			     const char **ret_operand, int *ret_status);

/* "64K", "128M", "5G"; plain numbers are bytes. */
must_check bool size_read(const char *text, uint64_t *ret_bytes);

void command_help(const struct command *c);
void commands_help(void);
