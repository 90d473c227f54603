/* SPDX-License-Identifier: Apache-2.0 */
/* One machine in a worker, from one supervisor to the next: both are this process, and the first has
 * left the worker in the middle of something. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "life/worker_link.h"
#include "life/zygote_parts.h"
#include "support/worked.h"

/* What the next one would have been sent. */
struct hand { fd_t fd[WORKER_FILES]; };

static struct hand pack(struct worker *w)
{
	struct diag d = DIAG_INIT;
	int raw[WORKER_FILES];
	struct hand h;

	if (failed(worker_pack(w, &d, raw)))
		fail_msg("%s", d.text);
	for (int i = 0; i < WORKER_FILES; i++)
		h.fd[i] = (fd_t){ fcntl(raw[i], F_DUPFD_CLOEXEC, 0) };
	return h;
}

static struct worker *adopt(struct hand *h, struct zygote *z, enum worker_state expected)
{
	enum worker_state state = WORKER_IS_EMPTY;
	struct diag d = DIAG_INIT;
	struct worker *w = NULL;

	if (failed(worker_adopt(h->fd, z, &d, &w, &state)))
		fail_msg("%s", d.text);
	assert_int_equal(state, expected);
	return w;
}

/* Asked, and the answer not waited for. */
static void ask_blindly(struct worker *w, enum worker_ask_kind kind, uint32_t serial)
{
	struct worker_ask a = { .kind = kind, .serial = serial };
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);

	worker_ask_encode(&o, &a);
	assert_false(failed(link_send(worker_socket(w), bytes, o.len, NULL, 0, NULL)));
}

static size_t said(struct worker *w)
{
	uint8_t bytes[256];
	uint64_t from;

	return board_read(worker_board(w), 0, bytes, sizeof bytes, &from);
}

struct case_of { struct zygote *z; struct home *h; struct worked *old; };

static struct case_of begin(void)
{
	struct request r = kin_request();
	struct case_of c = { .z = kin_freeze(kin_boot(&r)) };

	c.h = home_new(zygote_image(c.z));
	c.old = worked_child(c.h, c.z);
	(void)worked_ask(c.old, "echo here");
	return c;
}

static void over(struct case_of *c)
{
	worked_free(c->old);
	home_free(c->h);
	zygote_free(c->z);
	assert_int_equal(children_now(), 0);
}

/* Whatever was asked last, and however many answers were not read. */
static void in_the_middle(void **state)
{
	struct case_of c = begin();
	struct worker *old = worked_worker(c.old), *w;
	struct diag d = DIAG_INIT;
	size_t before = said(old);
	struct hand h = pack(old);

	(void)state;
	w = adopt(&h, c.z, WORKER_IS_RUNNING);
	assert_true(before > 0 && said(w) == before);
	assert_false(failed(worker_pause(w, &d)));
	worker_leave(w);

	h = pack(old);
	ask_blindly(old, WORKER_RESUME, 4000);
	ask_blindly(old, WORKER_INPUT, 4001);
	ask_blindly(old, WORKER_PAUSE, 4002);
	w = adopt(&h, c.z, WORKER_IS_PAUSED);
	assert_int_equal(worker_outcome(w, &d), VM_NONE);
	assert_false(failed(worker_resume(w, &d)));
	assert_false(failed(worker_ready(w, &d)));
	worker_leave(w);
	over(&c);
}

/* It can be frozen and branched, and its children are what it was. */
static void made_use_of(void **state)
{
	struct case_of c = begin();
	struct hand h = pack(worked_worker(c.old));
	struct zygote *branched = NULL, *frozen = NULL;
	struct diag d = DIAG_INIT;
	struct worked *child;
	struct worker *w;
	uint64_t pause;

	(void)state;
	(void)worked_ask(c.old, "secret 5");
	w = adopt(&h, c.z, WORKER_IS_RUNNING);
	if (failed(worker_branch(w, &d, &branched, &pause)) || failed(worker_pause(w, &d)) ||
	    failed(worker_freeze(w, &d, &frozen)))
		fail_msg("%s", d.text);
	worker_leave(w);
	child = worked_child(c.h, branched);
	(void)worked_ask(child, "echo first");
	worked_free(child);
	child = worked_child(c.h, frozen);
	(void)worked_ask(child, "echo second");
	worked_free(child);
	zygote_free(branched);
	zygote_free(frozen);
	over(&c);
}

/* Frozen, and nobody has heard of it: all that it can do is to be frozen again. */
static void frozen_unheard(void **state)
{
	struct case_of c = begin();
	struct worker *old = worked_worker(c.old), *w;
	struct hand h = pack(old);
	owned_fd layer = FD_NONE, bytes = FD_NONE;
	struct worker_ask a = { .kind = WORKER_FREEZE, .serial = 4000 };
	struct zygote *z = NULL;
	struct diag d = DIAG_INIT;
	uint8_t message[WORKER_MSG_MAX];
	struct out o = out_of(message, sizeof message);
	struct worked *child;

	(void)state;
	assert_false(failed(worker_pause(old, &d)));
	assert_false(failed(ram_memfd_new(geometry_ram(image_geometry(c.z->image)), &d, &layer)));
	assert_false(failed(zygote_file_new(&d, &bytes)));
	worker_ask_encode(&o, &a);
	assert_false(failed(link_send(worker_socket(old), message, o.len,
				      (int[]){ layer.raw, bytes.raw }, 2, NULL)));
	w = adopt(&h, c.z, WORKER_IS_FROZEN);
	assert_int_equal(worker_resume(w, &d).code, ERR_STATE);
	assert_non_null(strstr(d.text, "it has been frozen"));
	if (failed(worker_freeze(w, &d, &z)))
		fail_msg("%s", d.text);
	worker_leave(w);
	child = worked_child(c.h, z);
	(void)worked_ask(child, "echo child");
	worked_free(child);
	zygote_free(z);
	over(&c);
}

/* Nobody has left that many: it is making them up, and is killed. */
static void endless_answers(void **state)
{
	struct case_of c = begin();
	struct worker *old = worked_worker(c.old), *w;
	struct hand h = pack(old);
	enum worker_state is;
	struct diag d = DIAG_INIT;

	(void)state;
	for (uint32_t i = 0; i < 80; i++)
		ask_blindly(old, WORKER_STATE, i);
	assert_false(failed(worker_adopt(h.fd, c.z, &d, &w, &is)));
	assert_int_equal(worker_outcome(w, &d), VM_ERROR);
	assert_non_null(strstr(d.text, "it answers question"));
	worker_leave(w);
	over(&c);
}

/* One that went before anybody heard of it. */
static void gone_already(void **state)
{
	struct case_of c = begin();
	struct worker *old = worked_worker(c.old), *w;
	struct hand h = pack(old);
	struct pollfd p = { .fd = worker_pidfd(old), .events = POLLIN };
	struct diag d = DIAG_INIT;
	enum worker_state is;

	(void)state;
	assert_int_equal(kill(worker_pid(old), SIGKILL), 0);
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_false(failed(worker_adopt(h.fd, c.z, &d, &w, &is)));
	assert_int_equal(worker_outcome(w, &d), VM_ERROR);
	assert_string_equal(d.text, "its worker was killed by signal 9 (SIGKILL)");
	worker_leave(w);
	over(&c);
}

/* A failure costs nothing: it can be tried again. */
static void not_its_board(void **state)
{
	struct case_of c = begin();
	struct hand h = pack(worked_worker(c.old)), again = pack(worked_worker(c.old));
	enum worker_state is;
	struct diag d = DIAG_INIT;
	struct worker *w;

	(void)state;
	fd_drop(&h.fd[WORKER_FILE_BOARD]);
	h.fd[WORKER_FILE_BOARD] = (fd_t){ memfd_create("none", MFD_CLOEXEC) };
	assert_int_equal(worker_adopt(h.fd, c.z, &d, &w, &is).code, ERR_STATE);
	for (int i = 0; i < WORKER_FILES; i++)
		assert_false(fd_is_open(h.fd[i]));
	w = adopt(&again, c.z, WORKER_IS_RUNNING);
	worker_leave(w);
	(void)worked_ask(c.old, "echo still");
	over(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_middle), cmocka_unit_test(made_use_of),
		cmocka_unit_test(frozen_unheard), cmocka_unit_test(endless_answers),
		cmocka_unit_test(gone_already),
		cmocka_unit_test(not_its_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
