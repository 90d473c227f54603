/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that is asked nonsense, cut short, too long or at the wrong moment: it says what is wrong
 * and is as it was, or it goes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "life/worker_link.h"
#include "life/zygote_parts.h"
#include "support/place.h"
#include "support/worked.h"

enum { DISK = 1 << 20 };

static struct zygote *zygote_here(void)
{
	struct request r = kin_request_disk(DISK_COW);

	place_make_disk("disk.img", DISK, 9, DISK);
	return kin_freeze(kin_boot(&r));
}

/* A worker's process and its socket, without what knows how to use them. */
struct bare {
	struct worker_kit *kit;
	struct born child;
	fd_t socket;
	struct board board;
	struct zygote_layers layers; /* one: there is one disk */
	struct link_in in;
};

static void asked(struct bare *b, const void *bytes, size_t n, const int *fds, uint32_t n_fds)
{
	struct diag d = DIAG_INIT;

	if (failed(link_send(b->socket.raw, bytes, n, fds, n_fds, &d)))
		fail_msg("%s", d.text);
}

static size_t encoded(const struct worker_ask *a, uint8_t ret[WORKER_MSG_MAX])
{
	struct out o = out_of(ret, WORKER_MSG_MAX);

	worker_ask_encode(&o, a);
	assert_false(failed(out_done(&o)));
	return o.len;
}

static void ask(struct bare *b, enum worker_ask_kind kind, const int *fds, uint32_t n_fds)
{
	struct worker_ask a = { .kind = kind };
	uint8_t bytes[WORKER_MSG_MAX];
	size_t n = encoded(&a, bytes);

	asked(b, bytes, n, fds, n_fds);
}

/* What it answers. */
static struct worker_say heard(struct bare *b)
{
	struct diag d = DIAG_INIT;
	struct worker_say s;

	if (failed(link_receive(b->socket.raw, &d, &b->in)) || b->in.len == 0)
		fail_msg("it hung up %s", d.text);
	assert_false(failed(worker_say_parse(cur_of(b->in.bytes, b->in.len), &d, &s)));
	link_drop(&b->in);
	return s;
}

static void answers(struct bare *b, enum err_code code, const char *words)
{
	struct worker_say s = heard(b);

	if ((s.kind == WORKER_DONE) != (code == ERR_NONE))
		fail_msg("it answers %d: %s", (int)s.kind, s.text);
	if (s.code != (uint32_t)code || strstr(s.text, words) == NULL)
		fail_msg("%s (%u), expected \"%s\"", s.text, s.code, words);
}

static struct bare *bare_new(struct home *h)
{
	struct bare *b = calloc(1, sizeof *b);
	struct diag d = DIAG_INIT;

	assert_non_null(b);
	b->kit = home_kit(h);
	assert_false(failed(worker_kit_bear(b->kit, &d, &b->child, &b->socket)));
	assert_false(failed(board_new(&d, &b->board)));
	assert_false(failed(worker_kit_layers_new(b->kit, &d, &b->layers)));
	assert_int_equal(b->layers.n, 1);
	answers(b, ERR_NONE, ""); /* it is confined */
	return b;
}

enum { FILES = 4 };

static void shell_files(const struct bare *b, int ret[FILES])
{
	ret[0] = worker_kit_kvm(b->kit);
	ret[1] = b->board.memfd.raw;
	ret[2] = b->board.event.raw;
	ret[3] = b->layers.raw[0];
}

static void build_shell(struct bare *b)
{
	int fds[FILES];

	shell_files(b, fds);
	ask(b, WORKER_SHELL, fds, FILES);
	answers(b, ERR_NONE, "");
}

/* Ends by itself, and hangs up, as it should: with 0. */
static void goes(struct bare *b)
{
	int status;

	fd_drop(&b->socket);
	assert_int_equal(waitpid(b->child.pid, &status, 0), b->child.pid);
	assert_int_equal(status, 0);
	fd_drop(&b->child.pidfd);
	board_drop(&b->board);
	zygote_layers_drop(&b->layers);
	free(b);
}

static void goes_by_itself(struct bare *b)
{
	struct diag d = DIAG_INIT;

	assert_false(failed(link_receive(b->socket.raw, &d, &b->in)));
	assert_int_equal(b->in.len, 0);
	goes(b);
}

static void out_of_order(void **state)
{
	static const struct { enum worker_ask_kind kind; const char *words; } early[] = {
		{ WORKER_PRIME, "asked to take a zygote at the wrong moment" },
		{ WORKER_SPAWN, "asked to spawn at the wrong moment" },
		{ WORKER_RESUME, "asked to resume at the wrong moment" },
		{ WORKER_PAUSE, "asked to pause at the wrong moment" },
		{ WORKER_FREEZE, "asked to freeze at the wrong moment" },
	};
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct bare *b = bare_new(h);
	int fds[FILES];

	(void)state;
	for (size_t i = 0; i < countof(early); i++) {
		ask(b, early[i].kind, NULL, 0);
		answers(b, ERR_STATE, early[i].words);
	}
	ask(b, WORKER_INPUT, NULL, 0);
	answers(b, ERR_NONE, "");
	build_shell(b);
	shell_files(b, fds);
	ask(b, WORKER_SHELL, fds, FILES);
	answers(b, ERR_STATE, "asked to build a shell at the wrong moment");
	for (size_t i = 1; i < countof(early); i++) {
		ask(b, early[i].kind, fds, (uint32_t)i);
		answers(b, ERR_STATE, early[i].words);
	}
	ask(b, WORKER_STOP, NULL, 0);
	answers(b, ERR_NONE, "");
	goes_by_itself(b);
	home_free(h);
	zygote_free(z);
}

static void mutilated(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct bare *b = bare_new(h);
	struct worker_ask a = { .kind = WORKER_SPAWN, .name = "somebody", .n_input = 5 };
	uint8_t bytes[WORKER_MSG_MAX];
	size_t n = encoded(&a, bytes);

	(void)state;
	build_shell(b);
	for (size_t cut = 1; cut < n; cut++) {
		asked(b, bytes, cut, NULL, 0);
		assert_int_equal(heard(b).kind, WORKER_FAILED);
	}
	for (size_t i = 0; i < 16; i++) {
		uint8_t spoilt[sizeof bytes];

		memcpy(spoilt, bytes, n);
		memset(spoilt + i * n / 16, 0xFF, n / 16);
		asked(b, spoilt, n, NULL, 0);
		assert_int_equal(heard(b).kind, WORKER_FAILED);
	}
	memset(bytes, 0xA5, sizeof bytes);
	asked(b, bytes, sizeof bytes, NULL, 0);
	assert_int_equal(heard(b).kind, WORKER_FAILED);
	/* A zygote that is none. */
	ask(b, WORKER_PRIME, (int[]){ b->board.memfd.raw }, 1);
	answers(b, ERR_STATE, "a zygote's state is not sealed");
	ask(b, WORKER_PRIME, NULL, 0);
	answers(b, ERR_MISSING, "descriptors");
	ask(b, WORKER_SPAWN, NULL, 0);
	answers(b, ERR_STATE, "asked to spawn at the wrong moment");
	goes(b);
	home_free(h);
	zygote_free(z);
}

static void too_long(void **state)
{
	static uint8_t bytes[WORKER_MSG_MAX + 1];
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct bare *b = bare_new(h);

	(void)state;
	asked(b, bytes, sizeof bytes, NULL, 0);
	goes_by_itself(b);
	b = bare_new(h);
	build_shell(b);
	asked(b, bytes, 0, NULL, 0);
	goes_by_itself(b);
	home_free(h);
	zygote_free(z);
}

/* ---- files ---- */

/* It says what was wrong, and goes: it may be confined no more than half. */
static void files_are_other(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct bare *b = bare_new(h);
	fd_t null = { open("/dev/null", O_RDWR | O_CLOEXEC) };
	int fds[FILES];

	(void)state;
	shell_files(b, fds);
	ask(b, WORKER_SHELL, fds, FILES - 2);
	answers(b, ERR_STATE, "asked to build a shell at the wrong moment");
	ask(b, WORKER_SHELL, fds, FILES - 1);
	answers(b, ERR_STATE, "asked to build a shell at the wrong moment");
	goes_by_itself(b);
	b = bare_new(h);
	shell_files(b, fds);
	fds[0] = null.raw;
	ask(b, WORKER_SHELL, fds, FILES);
	assert_int_equal(heard(b).kind, WORKER_FAILED);
	goes_by_itself(b);
	fd_drop(&null);
	home_free(h);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_order), cmocka_unit_test(mutilated),
		cmocka_unit_test(too_long),     cmocka_unit_test(files_are_other),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
