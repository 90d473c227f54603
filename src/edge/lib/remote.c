/* SPDX-License-Identifier: Apache-2.0 */
/* A machine in another process: the public calls, spoken to its control socket. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/lib/config_doc.h"
#include "edge/lib/error.h"
#include "edge/lib/handoff.h"
#include "edge/lib/http_client.h"
#include "edge/lib/machine.h"
#include "edge/lib/remote.h"
#include "edge/lib/run_dir.h"
#include "edge/lib/unix_socket.h"

struct remote {
	struct spore_machine base; /* first */
	pthread_mutex_t lock;      /* one request at a time */
	struct http_client *http;
	struct run_place place;    /* of a named machine */
	char *socket;              /* for addresses: short enough */
};

static struct remote *remote_of(spore_machine *m)
{
	return (struct remote *)m;
}

static err_t call(struct remote *r, const struct http_request *q, struct diag *d, json_t **ret_body)
{
	owned_json body = NULL;
	err_t e;

	(void)pthread_mutex_lock(&r->lock);
	e = http_client_call(r->http, q, d, &body);
	(void)pthread_mutex_unlock(&r->lock);
	if (!failed(e) && ret_body != NULL)
		*ret_body = take_ptr(body);
	return e;
}

static err_t get(struct remote *r, const char *path, struct diag *d, json_t **ret_body)
{
	TRY(call(r, &(struct http_request){ .method = "GET", .path = path }, d, ret_body));
	if (*ret_body == NULL)
		return diag_fail(d, FAIL(ERR_REMOTE), "%s: an empty answer", path);
	return OK;
}

/* Takes the body. */
static err_t put(struct remote *r, const char *method, const char *path, json_t *body,
		 struct diag *d)
{
	owned_json owned = body;

	return call(r, &(struct http_request){ .method = method, .path = path, .body = owned }, d,
		    NULL);
}

/* The other process may have another working directory. */
static err_t path_absolute(const char *path, struct diag *d, char **ret)
{
	owned_heap char *here = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
	char *whole;

	if (here == NULL || asprintf(&whole, "%s%s%s", here, here[0] != '\0' ? "/" : "", path) < 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", path);
	*ret = whole;
	return OK;
}

/* Makes the string at object[key] absolute, if there is one. */
static err_t key_absolute(json_t *object, const char *key, struct diag *d)
{
	const char *path = json_string_value(json_object_get(object, key));
	owned_heap char *whole = NULL;

	if (path == NULL)
		return OK;
	TRY(path_absolute(path, d, &whole));
	(void)json_object_set_new(object, key, json_string(whole));
	return OK;
}

static err_t remote_boot(spore_machine *m, const struct spore_config *c, struct diag *d)
{
	owned_json doc = NULL;
	json_t *drives, *boot;

	TRY(config_doc_of(c, d, &doc));
	boot = json_object_get(doc, "boot-source");
	drives = json_object_get(doc, "drives");
	TRY(key_absolute(boot, "kernel_image_path", d));
	TRY(key_absolute(boot, "initrd_path", d));
	for (size_t i = 0; i < json_array_size(drives); i++)
		TRY(key_absolute(json_array_get(drives, i), "path_on_host", d));
	TRY(put(remote_of(m), "PUT", "/spore/config", json_incref(doc), d));
	return put(remote_of(m), "PUT", "/actions",
		   json_pack("{s:s}", "action_type", "InstanceStart"), d);
}

static err_t restore_body(const char *path, const struct spore_restore_options *o, struct diag *d,
			  json_t **ret)
{
	owned_json body = json_pack("{s:s, s:s?, s:[], s:b, s:b}", "snapshot_path", path, "name",
				    o->name, "disks", "verify",
				    (o->flags & SPORE_RESTORE_VERIFY) != 0, "resume",
				    (o->flags & SPORE_RESTORE_RESUME) != 0);
	json_t *disks = json_object_get(body, "disks");

	TRY(key_absolute(body, "snapshot_path", d));
	for (size_t i = 0; i < o->n_disks; i++) {
		json_t *disk = json_pack("{s:i, s:s}", "index", (int)o->disks[i].index, "path",
					 o->disks[i].path);

		if (json_array_append_new(disks, disk) != 0)
			return diag_fail(d, FAIL(ERR_USAGE), "disk %u: path is not UTF-8",
					 o->disks[i].index);
		TRY(key_absolute(disk, "path", d));
	}
	*ret = take_ptr(body);
	return OK;
}

static err_t remote_restore(spore_machine *m, const char *path,
			    const struct spore_restore_options *o, struct diag *d)
{
	owned_json body = NULL;

	TRY(restore_body(path, o, d, &body));
	return call(remote_of(m), &(struct http_request){
		.method = "PUT", .path = "/spore/restore", .body = body, .progress = o->progress,
		.ctx = o->ctx }, d, NULL);
}

static err_t remote_pause(spore_machine *m, struct diag *d)
{
	return put(remote_of(m), "PATCH", "/vm", json_pack("{s:s}", "state", "Paused"), d);
}

static err_t remote_resume(spore_machine *m, struct diag *d)
{
	return put(remote_of(m), "PATCH", "/vm", json_pack("{s:s}", "state", "Resumed"), d);
}

static err_t timings_read(const json_t *j, struct diag *d, struct spore_timings *ret)
{
	const json_t *phases = json_object_get(j, "phases");
	struct spore_timings t = { .n = (uint32_t)json_array_size(phases) };

	if (!json_is_object(j) || t.n > SPORE_PHASES_MAX)
		return diag_fail(d, FAIL(ERR_REMOTE), "timings: not what was expected");
	t.total_ns = (uint64_t)json_integer_value(json_object_get(j, "total_ns"));
	t.in_flight = (uint32_t)json_integer_value(json_object_get(j, "in_flight"));
	for (uint32_t i = 0; i < t.n; i++) {
		const json_t *p = json_array_get(phases, i);
		const char *name = json_string_value(json_object_get(p, "name"));

		(void)snprintf(t.phases[i].name, sizeof t.phases[i].name, "%s", name ? name : "?");
		t.phases[i].ns = (uint64_t)json_integer_value(json_object_get(p, "ns"));
	}
	*ret = t;
	return OK;
}

static err_t remote_snapshot(spore_machine *m, const char *path,
			     const struct spore_snapshot_options *o, struct diag *d)
{
	owned_json body = json_pack("{s:s, s:b, s:b, s:b}", "snapshot_path", path, "disks",
				    (o->flags & SPORE_SNAPSHOT_DISKS) != 0, "pause",
				    (o->flags & SPORE_SNAPSHOT_PAUSE) != 0, "stop",
				    (o->flags & SPORE_SNAPSHOT_STOP) != 0);
	owned_json reply = NULL;
	const char *warning;

	TRY(key_absolute(body, "snapshot_path", d));
	TRY(call(remote_of(m), &(struct http_request){
		.method = "PUT", .path = "/spore/snapshot", .body = body, .progress = o->progress,
		.ctx = o->ctx }, d, &reply));
	if (o->ret_timings != NULL)
		TRY(timings_read(json_object_get(reply, "timings"), d, o->ret_timings));
	warning = json_string_value(json_object_get(reply, "warning"));
	if (o->ret_warning != NULL)
		*o->ret_warning = warning != NULL ? strdup(warning) : NULL;
	return OK;
}

/* Its monitor has left. */
static bool is_gone(const struct remote *r)
{
	owned_fd fd = FD_NONE;

	if (fd_is_open(r->place.folder))
		return run_place_is_dead(&r->place);
	return failed(socket_connect(r->socket, SOCK_STREAM, NULL, &fd));
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool wait_gone(const struct remote *r, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;

	while (!is_gone(r)) {
		if (timeout_ms >= 0 && now_ms() >= end)
			return false;
		(void)poll(NULL, 0, 2);
	}
	return true;
}

static err_t remote_stop(spore_machine *m, struct diag *d)
{
	struct remote *r = remote_of(m);

	TRY(call(r, &(struct http_request){ .method = "PUT", .path = "/spore/stop" }, d, NULL));
	if (!wait_gone(r, 30000))
		return diag_fail(d, FAIL(ERR_REMOTE), "stop: the monitor is still there after 30 s");
	return OK;
}

static err_t remote_state(spore_machine *m, enum spore_state *ret_state, struct diag *d)
{
	static const enum spore_state states[] = { SPORE_NOT_STARTED, SPORE_RUNNING, SPORE_PAUSED,
						   SPORE_ENDED };
	owned_json body = NULL;
	const char *word;

	TRY(get(remote_of(m), "/", d, &body));
	word = json_string_value(json_object_get(body, "state"));
	for (size_t i = 0; word != NULL && i < countof(states); i++) {
		if (strcmp(word, machine_state_word(states[i])) == 0) {
			*ret_state = states[i];
			return OK;
		}
	}
	return diag_fail(d, FAIL(ERR_REMOTE), "state: not what was expected");
}

static err_t remote_outcome(spore_machine *m, enum spore_outcome *ret_outcome,
			    struct spore_error *ret_why, struct diag *d)
{
	owned_json body = NULL;
	const json_t *outcome;
	const char *why;

	TRY(get(remote_of(m), "/spore/status", d, &body));
	outcome = json_object_get(body, "outcome");
	*ret_outcome = (enum spore_outcome)json_integer_value(json_object_get(outcome, "code"));
	why = json_string_value(json_object_get(outcome, "why"));
	if (ret_why != NULL &&
	    (*ret_outcome == SPORE_OUTCOME_ERROR || *ret_outcome == SPORE_OUTCOME_CRASH)) {
		*ret_why = (struct spore_error){ .code = SPORE_ERR_INTERNAL,
						 .offset = SPORE_NO_OFFSET };
		(void)snprintf(ret_why->text, sizeof ret_why->text, "%s", why ? why : "");
	}
	return OK;
}

/* A monitor leaves when its machine has ended, and takes the outcome along: whoever needs it asks
 * the process that owns the machine. */
static err_t remote_wait(spore_machine *m, int timeout_ms, enum spore_outcome *ret_outcome,
			 struct spore_error *ret_why, struct diag *d)
{
	(void)ret_why;
	if (wait_gone(remote_of(m), timeout_ms))
		return diag_fail(d, FAIL(ERR_REMOTE), "the machine has ended; how is known to its "
				 "monitor only");
	*ret_outcome = SPORE_OUTCOME_NONE;
	return OK;
}

static err_t remote_timings(spore_machine *m, struct spore_timings *ret_timings, struct diag *d)
{
	owned_json body = NULL;
	const json_t *timings;

	TRY(get(remote_of(m), "/spore/status", d, &body));
	timings = json_object_get(body, "timings");
	if (json_is_null(timings))
		return machine_state_fail(SPORE_NOT_STARTED, "timings", d);
	return timings_read(timings, d, ret_timings);
}

static err_t remote_config(spore_machine *m, char **ret_json, struct diag *d)
{
	owned_json body = NULL;
	char *text;

	TRY(get(remote_of(m), "/vm/config", d, &body));
	text = json_dumps(body, JSON_COMPACT);
	if (text == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "config: out of memory");
	*ret_json = text;
	return OK;
}

static err_t remote_name(spore_machine *m, char **ret_name, struct diag *d)
{
	owned_json body = NULL;
	const char *name;
	char *copy;

	TRY(get(remote_of(m), "/spore/status", d, &body));
	name = json_string_value(json_object_get(body, "name"));
	copy = strdup(name != NULL ? name : "");
	if (copy == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "name: out of memory");
	*ret_name = copy;
	return OK;
}

static err_t not_here(struct diag *d)
{
	return diag_fail(d, FAIL(ERR_STATE), "console: the machine is in another process, attach to "
			 "it instead");
}

static err_t remote_input(spore_machine *m, const void *bytes, size_t n, size_t *ret_taken,
			  struct diag *d)
{
	(void)m;
	(void)bytes;
	(void)n;
	(void)ret_taken;
	return not_here(d);
}

static err_t remote_output(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap,
			   uint64_t *ret_from, size_t *ret_n, struct diag *d)
{
	(void)m;
	(void)from;
	(void)ret_bytes;
	(void)cap;
	(void)ret_from;
	(void)ret_n;
	return not_here(d);
}

/* The server's first line: "OK", or why not. */
static err_t greeting_read(int fd, struct diag *d)
{
	struct timeval patience = { 10, 0 };
	char line[128];
	size_t n = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (n < sizeof line - 1 && recv(fd, &line[n], 1, 0) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	patience = (struct timeval){ 0, 0 };
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (strcmp(line, "OK") == 0)
		return OK;
	if (n == 0)
		return diag_fail(d, FAIL(ERR_REMOTE), "console: the monitor does not answer");
	return diag_fail(d, FAIL(ERR_LOCKED), "console: %s", line);
}

/* A socket of the machine's beside this one. */
static err_t socket_beside(const struct remote *r, const char *file, int type, const char *what,
			   struct diag *d, fd_t *ret_fd)
{
	const char *slash = strrchr(r->socket, '/');
	owned_heap char *path = NULL;

	if (slash == NULL || strcmp(slash, "/api.sock") != 0)
		return diag_fail(d, FAIL(ERR_STATE), "%s: %s: the machine has no name, and with it no "
				 "%s", what, r->socket, file);
	if (asprintf(&path, "%.*s/%s", (int)(slash - r->socket), r->socket, file) < 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", what);
	return socket_connect(path, type, d, ret_fd);
}

static err_t remote_attach(spore_machine *m, int *ret_fd, struct diag *d)
{
	owned_fd fd = FD_NONE;

	TRY(socket_beside(remote_of(m), "console.sock", SOCK_STREAM, "console", d, &fd));
	TRY(greeting_read(fd.raw, d));
	*ret_fd = fd_take(&fd).raw;
	return OK;
}

static int remote_no_fd(spore_machine *m)
{
	(void)m;
	return -1;
}

static void remote_free(spore_machine *m)
{
	struct remote *r = remote_of(m);

	http_client_close(r->http);
	run_place_drop(&r->place);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->socket);
	free(r);
}

static err_t remote_freeze(spore_machine *m, const struct spore_freeze_options *o,
			   struct zygote **ret_zygote, struct diag *d)
{
	struct handoff_ask ask = { .pause = (o->flags & SPORE_FREEZE_PAUSE) != 0 };
	struct remote *r = remote_of(m);
	owned_fd fd = FD_NONE;
	uint64_t pause_ns;

	TRY(socket_beside(r, "handoff.sock", SOCK_SEQPACKET, "freeze", d, &fd));
	TRY(handoff_receive(fd.raw, ask, d, ret_zygote, &pause_ns));
	/* The name is free again; a monitor that takes long to leave changes nothing. */
	(void)wait_gone(r, 30000);
	return OK;
}

static err_t remote_branch(spore_machine *m, struct zygote **ret_zygote, uint64_t *ret_pause_ns,
			   struct diag *d)
{
	struct handoff_ask ask = { .branch = true };
	owned_fd fd = FD_NONE;

	TRY(socket_beside(remote_of(m), "handoff.sock", SOCK_SEQPACKET, "branch", d, &fd));
	return handoff_receive(fd.raw, ask, d, ret_zygote, ret_pause_ns);
}

static const struct machine_ops remote_ops = {
	.boot = remote_boot, .restore = remote_restore, .pause = remote_pause,
	.resume = remote_resume, .snapshot = remote_snapshot, .freeze = remote_freeze,
	.branch = remote_branch, .stop = remote_stop,
	.wait = remote_wait, .state = remote_state, .outcome = remote_outcome,
	.timings = remote_timings, .config = remote_config, .name = remote_name,
	.input = remote_input, .output = remote_output, .attach = remote_attach,
	.event_fd = remote_no_fd, .output_fd = remote_no_fd, .free = remote_free,
};

static err_t place_find(struct remote *r, const char *name, struct diag *d)
{
	char path[RUN_PATH_MAX + 32];

	if (strchr(name, '/') != NULL) {
		r->socket = strdup(name);
	} else {
		TRY(run_find(name, d, &r->place));
		run_socket_path(r->place.path, r->place.folder.raw, "api.sock", path, sizeof path);
		r->socket = strdup(path);
	}
	if (r->socket == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	return OK;
}

/* A name that is held while nobody listens for long is kept for the next supervisor. */
static err_t nobody(const struct remote *r, const char *name, err_t e, struct diag *d)
{
	if (e.code != ERR_NOT_FOUND || !fd_is_open(r->place.folder) || run_place_is_dead(&r->place))
		return e;
	if (d != NULL)
		*d = DIAG_INIT;
	return diag_fail(d, e, "%s: nobody answers for it: it goes on without a supervisor (start the "
			 "next one with `spore serve --keep`), or begins or ends just now", name);
}

static err_t remote_open(const char *name, struct diag *d, spore_machine **ret)
{
	struct remote *r = calloc(1, sizeof *r);
	owned_fd probe = FD_NONE;
	err_t e;

	if (r == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	r->base.ops = &remote_ops;
	r->place = RUN_PLACE_NONE;
	(void)pthread_mutex_init(&r->lock, NULL);
	e = place_find(r, name, d);
	if (!failed(e))
		e = nobody(r, name, socket_connect(r->socket, SOCK_STREAM, d, &probe), d);
	if (!failed(e))
		e = http_client_open(r->socket, d, &r->http);
	if (failed(e))
		remote_free(&r->base);
	else
		*ret = &r->base;
	return e;
}

err_t remote_status(const char *name, long timeout_ms, struct diag *d, json_t **ret_status)
{
	spore_machine *m;
	err_t e;

	TRY(remote_open(name, d, &m));
	e = call(remote_of(m), &(struct http_request){ .method = "GET", .path = "/spore/status",
						       .timeout_ms = timeout_ms }, d, ret_status);
	remote_free(m);
	return e;
}

int spore_machine_open(const char *name_or_socket, spore_machine **ret_machine,
		       struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(remote_open(name_or_socket, &d, ret_machine), &d, err);
}
