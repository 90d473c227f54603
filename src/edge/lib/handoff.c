/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/handoff.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/fault.h"
#include "edge/lib/json_read.h"
#include "edge/lib/zygote.h"
#include "life/parcel.h"
#include "life/worker_link.h"

enum { ANSWER_SECONDS = 120 }; /* a machine that was restored has all of its RAM copied */

/* Takes the document. */
static err_t packet_send(int socket, json_t *doc, const struct zygote_files *files, struct diag *d)
{
	owned_json owned = doc;
	owned_heap char *text = owned != NULL ? json_dumps(owned, JSON_COMPACT) : NULL;
	err_t e;

	if (text == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "freeze: out of memory");
	e = link_send(socket, text, strlen(text), files != NULL ? files->fd : NULL,
		      files != NULL ? files->n : 0, NULL);
	return failed(e) ? diag_fail(d, e, "freeze: the other end has left") : OK;
}

/* ---- the machine's end ---- */

static err_t request_read(int socket, struct diag *d, struct handoff_ask *ret)
{
	struct link_in in = { .n = 0 };
	owned_json doc = NULL;
	const struct json_field fields[] = {
		JSON_FIELD("pause", BOOL, JSON_REQUIRED, &ret->pause),
		JSON_FIELD("branch", BOOL, 0, &ret->branch),
	};

	TRY(link_receive(socket, d, &in));
	link_drop(&in); /* nobody asked for any */
	if (in.len == 0)
		return diag_fail(d, FAIL(ERR_REMOTE), "freeze: the other end has left");
	TRY(json_text_read((const char *)in.bytes, in.len, d, &doc));
	return json_object_read(doc, fields, countof(fields), d);
}

/* What was made of it, and what there is to say of that. */
struct given {
	spore_zygote *zygote;
	bool goes_on;
	uint64_t pause_ns;
};

static err_t freeze(int socket, spore_machine *m, struct diag *d, struct given *ret)
{
	struct spore_freeze_options fo = SPORE_FREEZE_OPTIONS_INIT;
	struct spore_branch_options bo = SPORE_BRANCH_OPTIONS_INIT;
	struct handoff_ask ask = { .branch = false };
	struct spore_error err;
	int status;

	TRY(link_peer_check(socket, "freeze", d));
	TRY(request_read(socket, d, &ask));
	fo.flags = ask.pause ? SPORE_FREEZE_PAUSE : 0u;
	bo.ret_pause_ns = &ret->pause_ns;
	ret->goes_on = ask.branch;
	status = ask.branch ? spore_machine_branch(m, &bo, &ret->zygote, &err)
			    : spore_machine_freeze(m, &fo, &ret->zygote, &err);
	return status == SPORE_OK ? OK : error_take(status, &err, d);
}

static err_t zygote_send(int socket, const struct given *g, struct diag *d)
{
	struct zygote_files files;

	TRY(zygote_pack(g->zygote->zygote, d, &files));
	return packet_send(socket, json_pack("{s:I}", "pause_ns", (json_int_t)g->pause_ns), &files,
			   d);
}

err_t handoff_give(int socket, spore_machine *m, struct diag *d, bool *ret_frozen)
{
	struct given g = { .zygote = NULL };
	struct diag why = DIAG_INIT;
	err_t e = freeze(socket, m, &why, &g);

	*ret_frozen = false;
	if (failed(e))
		return packet_send(socket, fault_json(e, &why), NULL, d);
	e = zygote_send(socket, &g, d);
	spore_zygote_free(g.zygote);
	TRY(e);
	*ret_frozen = !g.goes_on;
	return OK;
}

/* ---- the other end ---- */

static err_t answer_read(struct link_in *in, struct diag *d, struct zygote **ret_zygote,
			 uint64_t *ret_pause_ns)
{
	const struct json_field fields[] = {
		JSON_FIELD("pause_ns", UINT, JSON_REQUIRED, ret_pause_ns, .most = INT64_MAX),
	};
	owned_json doc = NULL;

	TRY(json_text_read((const char *)in->bytes, in->len, d, &doc));
	if (in->n == 0)
		return fault_read(doc, "freeze: the monitor answered with neither a zygote nor a fault",
				  d);
	TRY(json_object_read(doc, fields, countof(fields), d));
	return zygote_unpack(in->fd, in->n, d, ret_zygote);
}

static err_t answer_take(int socket, struct diag *d, struct zygote **ret_zygote,
			 uint64_t *ret_pause_ns)
{
	const struct timeval patience = { ANSWER_SECONDS, 0 };
	struct link_in in = { .n = 0 };
	struct diag why = DIAG_INIT;
	err_t e;

	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	e = link_receive(socket, &why, &in);
	if (in.cut)
		return diag_sys(d, e, "freeze: taking over the zygote");
	if (failed(e) || in.len == 0) {
		link_drop(&in);
		return diag_fail(d, FAIL(ERR_REMOTE), "freeze: the machine's monitor %s",
				 failed(e) && e.sys == EAGAIN ? "does not answer" : "has left");
	}
	e = answer_read(&in, d, ret_zygote, ret_pause_ns);
	link_drop(&in);
	return e;
}

err_t handoff_receive(int socket, struct handoff_ask ask, struct diag *d,
		      struct zygote **ret_zygote, uint64_t *ret_pause_ns)
{
	TRY(link_peer_check(socket, "freeze", d));
	TRY(packet_send(socket, json_pack("{s:b, s:b}", "pause", ask.pause, "branch", ask.branch),
			NULL, d));
	return answer_take(socket, d, ret_zygote, ret_pause_ns);
}
