/* SPDX-License-Identifier: Apache-2.0 */
/* image_check [--verify] [--json] FILE...: what the monitor's own reader says of each file, one line
 * each: "ok", or "CODE section.field". --verify reads RAM too; --json prints what is in the file
 * instead of "ok". Exit status 6 when one was refused. */
#include <spore.h>
#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "life/snapshot.h"

static bool want_verify, want_json;

static err_t check(const char *path, struct diag *d)
{
	struct snapshot *s;
	err_t e;

	TRY(snapshot_open(path, d, &s));
	e = want_verify ? snapshot_verify(s, NULL, NULL, d) : OK;
	snapshot_free(s);
	return e;
}

static void json_print(const char *path)
{
	struct spore_error e;
	char *json = NULL;

	memset(&e, 0, sizeof e);
	if (spore_inspect(path, &json, &e) == SPORE_OK)
		puts(json);
	spore_free(json);
}

static bool report(const char *path)
{
	struct diag d = DIAG_INIT;
	err_t e = check(path, &d);

	if (failed(e))
		printf("%s %s.%s\n", err_name(e.code), d.section == NULL ? "?" : d.section,
		       d.field == NULL ? "?" : d.field);
	else if (want_json)
		json_print(path);
	else
		puts("ok");
	return !failed(e);
}

int main(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verify") == 0)
			want_verify = true;
		else if (strcmp(argv[i], "--json") == 0)
			want_json = true;
		else if (!report(argv[i]))
			status = 6;
	}
	return status;
}
