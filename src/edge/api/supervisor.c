/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's life, its table of routes, and what it says of itself. */
#include "edge/api/supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "edge/api/route_path.h"
#include "edge/api/watch.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"

static const struct {
	const char *method, *path;
	bool body_may;
	errand_handler *handler;
} routes[] = {
	{ "GET", "/spore/status", false, errand_status },
	{ "GET", "/spore/machines", false, errand_machines },
	{ "GET", "/spore/zygotes", false, errand_zygotes },
	{ "PUT", "/spore/zygotes/{id}", false, errand_zygote_put },
	{ "DELETE", "/spore/zygotes/{id}", true, errand_zygote_delete },
	{ "PUT", "/spore/zygotes/{id}/save", false, errand_zygote_save },
	{ "PUT", "/spore/spawn", false, errand_spawn },
	{ "GET", "/spore/pools", false, errand_pools },
	{ "PUT", "/spore/pools/{id}", false, errand_pool_put },
};

err_t supervisor_dispatch(void *supervisor, const char *method, const char *path, const char *text,
			  size_t len, struct diag *d, json_t **ret_body)
{
	struct errand c = { .s = supervisor };
	owned_json body = NULL;
	char trimmed[PATH_MAX_HERE], id[PATH_ID_MAX];

	path_trim(path, trimmed);
	for (size_t i = 0; i < countof(routes); i++) {
		if (strcmp(routes[i].method, method) != 0 ||
		    !path_matches(routes[i].path, trimmed, id))
			continue;
		TRY(body_read(method, routes[i].body_may, text, len, d, &body));
		c.id = id;
		c.body = body;
		return routes[i].handler(&c, d, ret_body);
	}
	return diag_fail(d, FAIL(ERR_USAGE), "Invalid request method and/or path: %s %s.", method,
			 trimmed + 1);
}

err_t errand_result(const struct errand *c, int status, struct diag *d)
{
	return status == SPORE_OK ? OK : error_take(status, &c->s->fault, d);
}

err_t errand_status(const struct errand *c, struct diag *d, json_t **ret_body)
{
	(void)d;
	*ret_body = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:I}", "version", spore_version(), "pid",
			      (json_int_t)getpid(), "started", (json_int_t)c->s->started, "zygotes",
			      (json_int_t)c->s->n_zygotes, "machines",
			      (json_int_t)c->s->n_children, "keeps", c->s->keeper != NULL,
			      "chores", (json_int_t)chores_count(c->s));
	return OK;
}

/* ---- its life ---- */

/* It does not end by a request, but perhaps with the reply to the last. */
static void after_reply(void *supervisor)
{
	struct spore_supervisor *s = supervisor;

	if (s->quits && s->chores == NULL && s->http.replies == 0)
		(void)event_base_loopbreak(s->base);
}

static err_t options_judge(const struct spore_supervisor_options *options,
			   struct spore_supervisor_options *ret, struct diag *d)
{
	TRY(options_take(options, sizeof *ret, sizeof *ret, ret, "spore_supervisor_options", d));
	return options_check(ret->flags, SPORE_SUPERVISOR_KEEP, ret->reserved,
			     "spore_supervisor_options", d);
}

static err_t open_all(struct spore_supervisor *s, struct diag *d)
{
	TRY(run_claim_take_serve(d, &s->claim));
	TRY(door_open_in(&s->claim, "api.sock", SOCK_STREAM, d, &s->door));
	s->base = event_base_new();
	if (s->base == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	TRY(chores_open(s, d));
	TRY(keep_open(s, d));
	TRY(http_open(&s->http, s->base, d));
	return http_listen(&s->http, &s->door, d);
}

static err_t supervisor_new(const struct spore_supervisor_options *options,
			    struct spore_supervisor **ret, struct diag *d)
{
	struct spore_supervisor_options o = SPORE_SUPERVISOR_OPTIONS_INIT;
	struct spore_supervisor *s;
	err_t e;

	TRY(options_judge(options, &o, d));
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	s->options = o;
	s->claim = RUN_CLAIM_NONE;
	s->door.fd = FD_NONE;
	s->chore_fd = FD_NONE;
	s->started = (int64_t)time(NULL);
	s->http.handler = supervisor_dispatch;
	s->http.after = after_reply;
	s->http.ctx = s;
	e = open_all(s, d);
	if (failed(e))
		spore_supervisor_close(s);
	else
		*ret = s;
	return e;
}

int spore_supervisor_open(const struct spore_supervisor_options *options,
			  spore_supervisor **ret_supervisor, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(supervisor_new(options, ret_supervisor, &d), &d, err);
}

int spore_supervisor_run(spore_supervisor *s, const struct spore_watch *watches, size_t n_watches,
			 struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(watches_run(s->base, watches, n_watches, &d), &d, err);
}

void spore_supervisor_quit(spore_supervisor *s)
{
	if (chores_quit(s))
		(void)event_base_loopbreak(s->base);
}

void spore_supervisor_close(spore_supervisor *s)
{
	if (s == NULL)
		return;
	chores_close(s);
	if (s->leaves)
		children_leave(s);
	else
		children_end(s);
	while (s->n_zygotes != 0)
		kept_zygote_drop(s->zygotes[--s->n_zygotes]);
	free(s->zygotes);
	http_close(&s->http);
	door_close(&s->door);
	if (s->base != NULL)
		event_base_free(s->base);
	run_claim_drop(&s->claim);
	free(s);
}
