/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that speak to the supervisor. */
#pragma once

#include <jansson.h>
#include <spore.h>
#include <stdbool.h>

#include "base/check.h"

/* One request; takes the body (NULL: none). True: *ret_reply (may be NULL) is the answer, an object and
 * the caller's. False: it was said what went wrong; *ret_status. */
must_check bool ask(const char *command, const char *method, const char *path, json_t *body,
		    json_t **ret_reply, int *ret_status);
/* The path "/spore/WHAT/NAME/TAIL"; NAME and TAIL may be "". Names that would not be one segment are
 * refused by false, which was said. */
must_check bool ask_path(const char *command, const char *what, const char *name, const char *tail,
			 char *ret, size_t cap);
/* Relative paths are ours, not the supervisor's. NULL: out of memory, or not UTF-8. */
json_t *ask_file(const char *path);
/* "NAME=REST": the length of NAME, or 0. */
size_t ask_split(const char *text, const char **ret_rest);
/* A document, indented. */
void ask_print(const json_t *doc);
/* A fault inside an answer: says it, with `who` before it, and returns its exit status. */
int ask_fault(const char *command, const char *who, const json_t *fault);
