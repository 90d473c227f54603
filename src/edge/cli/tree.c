/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes and machines by what they came from. Nodes are JSON objects, so that --json shows what is
 * drawn. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/cli/ask.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"

enum { INDENT_MAX = 4096 };

struct values {
	bool json;
};

static const struct option options[] = {
	{ "json", 0, OPTION_FLAG, NULL, "as JSON", offsetof(struct values, json) },
};

static const char *text_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

/* As spore ps says it. */
static const char *state_word(const char *state)
{
	static const char *const words[][2] = { { "Running", "running" }, { "Paused", "paused" },
						{ "Ended", "ended" } };

	for (size_t i = 0; i < countof(words); i++)
		if (strcmp(words[i][0], state) == 0)
			return words[i][1];
	return state;
}

static json_t *node_of(const char *kind, const char *name, const char *id, const char *state)
{
	return json_pack("{s:s, s:s, s:s, s:s?, s:[]}", "kind", kind, "name", name, "id", id, "state",
			 state, "children");
}

static json_t *node_with(const json_t *nodes, const char *id)
{
	json_t *n;
	size_t i;

	json_array_foreach(nodes, i, n)
		if (id[0] != '\0' && strcmp(text_at(n, "id"), id) == 0)
			return n;
	return NULL;
}

/* Nodes of all zygotes, and of those that are gone but have living children. */
static json_t *zygote_nodes(const json_t *zygotes, const json_t *machines)
{
	json_t *nodes = json_array(), *j;
	size_t i;

	json_array_foreach(zygotes, i, j)
		(void)json_array_append_new(nodes, node_of("zygote", text_at(j, "name"), text_at(
			json_object_get(j, "info"), "id"), NULL));
	json_array_foreach(machines, i, j)
		if (node_with(nodes, text_at(j, "zygote_id")) == NULL)
			(void)json_array_append_new(nodes, node_of("zygote", text_at(j, "zygote"),
								   text_at(j, "zygote_id"), "gone"));
	return nodes;
}

/* The tree is made of references: a zygote's parent is older than itself, so there is no ring. */
static json_t *tree_of(const json_t *zygotes, const json_t *machines)
{
	json_t *nodes = zygote_nodes(zygotes, machines), *roots = json_array(), *j, *at;
	size_t i;

	json_array_foreach(machines, i, j) {
		at = node_with(nodes, text_at(j, "zygote_id"));
		(void)json_array_append_new(json_object_get(at, "children"), node_of(
			"machine", text_at(j, "name"), "", state_word(text_at(j, "state"))));
	}
	json_array_foreach(nodes, i, j) {
		const json_t *z = i < json_array_size(zygotes) ? json_array_get(zygotes, i) : NULL;

		at = node_with(nodes, text_at(json_object_get(z, "info"), "parent"));
		(void)json_array_append(at != NULL && at != j ? json_object_get(at, "children") : roots,
					j);
	}
	json_decref(nodes);
	return roots;
}

struct strokes {
	const char *on, *last, *down, *blank;
};

/* One list of siblings; `lead` is what stands before each of their lines. */
static void draw(const json_t *list, const struct strokes *s, char *lead, size_t used, bool top)
{
	size_t n = json_array_size(list), i;
	json_t *j;

	json_array_foreach(list, i, j) {
		const char *state = text_at(j, "state");
		int more;

		printf("%s%s%s%s%s%s\n", lead, top ? "" : i + 1 < n ? s->on : s->last,
		       text_at(j, "name"), state[0] != '\0' ? " (" : "", state,
		       state[0] != '\0' ? ")" : "");
		more = snprintf(lead + used, INDENT_MAX - used, "%s",
				top ? "" : i + 1 < n ? s->down : s->blank);
		if (more >= 0 && used + (size_t)more < INDENT_MAX)
			draw(json_object_get(j, "children"), s, lead, used + (size_t)more, false);
		lead[used] = '\0';
	}
}

static void print(const json_t *roots)
{
	static const struct strokes boxes = { "├── ", "└── ", "│   ", "    " };
	static const struct strokes plain = { "    ", "    ", "    ", "    " };
	char lead[INDENT_MAX] = "";
	bool utf8;

	(void)setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	draw(roots, isatty(STDOUT_FILENO) != 0 && utf8 ? &boxes : &plain, lead, 0, true);
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	json_t *zygotes, *machines, *roots;
	int status;

	(void)operand;
	if (!ask("tree", "GET", "/spore/zygotes", NULL, &zygotes, &status))
		return status;
	if (!ask("tree", "GET", "/spore/machines", NULL, &machines, &status)) {
		json_decref(zygotes);
		return status;
	}
	roots = tree_of(json_object_get(zygotes, "zygotes"), json_object_get(machines, "machines"));
	if (v->json)
		ask_print(roots);
	else
		print(roots);
	json_decref(roots);
	json_decref(zygotes);
	json_decref(machines);
	return STATUS_OK;
}

const struct command command_tree = {
	.name = "tree",
	.summary = "draw zygotes and their children",
	.options = options, .n_options = countof(options), .run = run,
};
