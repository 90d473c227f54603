/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "edge/cli/cli.h"
#include "edge/cli/say.h"
#include "edge/cli/session.h"

struct values {
	const char *name, *api_sock;
	struct text_list disks;
	bool detach, verify, timings, json;
};

static const struct option options[] = {
	{ "name", 0, OPTION_TEXT, "NAME", "what to call it, instead of what it was called",
	  offsetof(struct values, name) },
	{ "detach", 0, OPTION_FLAG, NULL, "return when it runs, and print its name",
	  offsetof(struct values, detach) },
	{ "disk", 0, OPTION_LIST, "INDEX=FILE", "take disk INDEX (from 0) from another file",
	  offsetof(struct values, disks) },
	{ "verify", 0, OPTION_FLAG, NULL, "compare all of RAM with its checksums first",
	  offsetof(struct values, verify) },
	{ "timings", 0, OPTION_FLAG, NULL, "tell how long each phase took",
	  offsetof(struct values, timings) },
	{ "json", 0, OPTION_FLAG, NULL, "tell it as JSON", offsetof(struct values, json) },
	{ "api-sock", 0, OPTION_TEXT, "PATH", "a control socket here as well",
	  offsetof(struct values, api_sock) },
};

/* "INDEX=FILE" */
static bool disk_read(const char *text, struct spore_restore_disk *ret)
{
	unsigned long index;
	char *end;

	index = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : UINT32_MAX + 1ul;
	if (index > UINT32_MAX || *end != '=' || end[1] == '\0') {
		say_error("restore", "--disk: '%s': expected INDEX=FILE", text);
		return false;
	}
	*ret = (struct spore_restore_disk){ .index = (uint32_t)index, .path = end + 1 };
	return true;
}

struct step {
	struct session *session;
	struct progress progress;
};

static void on_progress(void *step, uint64_t done, uint64_t of)
{
	struct step *s = step;

	session_interrupt(s->session);
	progress_step(&s->progress, done, of);
}

static void report(struct session *s, const struct values *v)
{
	/* In the foreground standard output is the guest's. */
	FILE *to = v->detach ? stdout : stderr;
	struct spore_timings t;

	if (v->detach && !v->json)
		printf("%s\n", session_name(s));
	if ((v->timings || v->json) &&
	    spore_machine_timings(session_machine(s), &t, NULL) == SPORE_OK)
		say_timings(to, &t, v->json, session_name(s));
}

/* Loaded and standing still. */
static int load(struct session *s, const char *path, const struct values *v,
		const struct spore_restore_disk *disks)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct step step = { .session = s, .progress = { .verb = "reading" } };
	struct spore_error err;
	int status;

	o.flags = v->verify ? SPORE_RESTORE_VERIFY : 0u;
	o.name = v->name;
	o.disks = disks;
	o.n_disks = v->disks.n;
	o.progress = on_progress;
	o.ctx = &step;
	status = spore_machine_restore(session_machine(s), path, &o, &err);
	progress_end(&step.progress);
	return status == SPORE_OK ? STATUS_OK : say_failure("restore", &err);
}

/* The name is claimed before the machine goes on: two of one name never run. */
static bool publish(struct session *s, int *ret_status)
{
	struct spore_error err;
	char *name;
	bool done;

	if (spore_machine_name(session_machine(s), &name, &err) != SPORE_OK) {
		*ret_status = session_abandon(s, say_failure("restore", &err));
		return false;
	}
	done = session_serve(s, name[0] != '\0' ? name : NULL, ret_status);
	spore_free(name);
	return done;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	const struct session_options o = { .command = "restore", .api_sock = v->api_sock,
					   .publish = true, .detach = v->detach };
	struct spore_restore_disk disks[LIST_MAX];
	struct spore_error err;
	struct session *s;
	int status;

	for (size_t i = 0; i < v->disks.n; i++)
		if (!disk_read(v->disks.v[i], &disks[i]))
			return STATUS_USAGE;
	s = session_open(&o, &status);
	if (s == NULL)
		return status;
	status = load(s, operand, v, disks);
	if (status != STATUS_OK)
		return session_abandon(s, status);
	if (!publish(s, &status))
		return status;
	if (spore_machine_resume(session_machine(s), &err) != SPORE_OK)
		return session_abandon(s, say_failure("restore", &err));
	report(s, v);
	return session_run(s);
}

const struct command command_restore = {
	.name = "restore", .operand = "FILE",
	.summary = "bring a machine back from a file",
	.details = "The file is judged before a byte of it is believed. The console and the exit status\n"
		   "are those of spore run. Timings go to standard error, or with --detach to standard\n"
		   "output.",
	.options = options, .n_options = countof(options), .run = run,
};
