/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/cli/say.h"

bool ask(const char *command, const char *method, const char *path, json_t *body,
	 json_t **ret_reply, int *ret_status)
{
	struct progress progress = { .verb = "working" };
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL, *reply = NULL;
	struct spore_error err;
	int status = spore_supervisor_ask(method, path, text, progress_step, &progress, &reply, &err);

	json_decref(body);
	free(text);
	progress_end(&progress);
	if (status != SPORE_OK) {
		*ret_status = say_failure(command, &err);
		return false;
	}
	if (ret_reply != NULL)
		*ret_reply = reply != NULL ? json_loads(reply, 0, NULL) : json_object();
	spore_free(reply);
	return true;
}

bool ask_path(const char *command, const char *what, const char *name, const char *tail, char *ret,
	      size_t cap)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (name[0] == '\0' || strlen(name) > 64 || name[strspn(name, plain)] != '\0') {
		say_error(command, "zygote: '%.80s': expected 1 to 64 letters, digits, '-', '_' and '.'",
			  name);
		return false;
	}
	(void)snprintf(ret, cap, "/spore/%s/%s%s%s", what, name, tail[0] != '\0' ? "/" : "", tail);
	return true;
}

json_t *ask_file(const char *path)
{
	char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *whole = NULL;
	json_t *j = NULL;

	if (path[0] == '/')
		return json_string(path);
	if (here != NULL && asprintf(&whole, "%s/%s", here, path) >= 0)
		j = json_string(whole);
	free(here);
	free(whole);
	return j;
}

size_t ask_split(const char *text, const char **ret_rest)
{
	const char *equals = strchr(text, '=');

	if (equals == NULL || equals[1] == '\0')
		return 0;
	*ret_rest = equals + 1;
	return (size_t)(equals - text);
}

void ask_print(const json_t *doc)
{
	char *text = json_dumps(doc, JSON_INDENT(2));

	printf("%s\n", text != NULL ? text : "{}");
	free(text);
}

int ask_fault(const char *command, const char *who, const json_t *fault)
{
	const char *text = json_string_value(json_object_get(fault, "fault_message"));
	struct spore_error err = {
		.code = (int32_t)json_integer_value(json_object_get(
			json_object_get(fault, "spore_error"), "code")) };

	(void)snprintf(err.text, sizeof err.text, "%s: %s", who, text != NULL ? text : "?");
	return say_failure(command, &err);
}
