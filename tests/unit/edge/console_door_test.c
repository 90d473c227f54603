/* SPDX-License-Identifier: Apache-2.0 */
/* The console's socket of a machine that has more to say whenever it is asked: nobody else waits for it. */
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "edge/api/server.h"
#include "edge/lib/machine.h"
#include "support/place.h"
#include "support/test.h"

enum { AT_ONCE = 65536 + 2 * 16384 }; /* of one turn, with what is taken ahead */

struct talker {
	struct spore_machine base; /* first */
	int event; /* readable all the time */
	uint64_t given;
};

static err_t more(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap, uint64_t *ret_from,
		  size_t *ret_n, struct diag *d)
{
	struct talker *t = (struct talker *)m;

	(void)d;
	memset(ret_bytes, 'x', cap);
	t->given += cap;
	*ret_from = from;
	*ret_n = cap;
	return OK;
}

static int out_fd(spore_machine *m)
{
	return ((struct talker *)m)->event;
}

static const struct machine_ops ops = { .output = more, .output_fd = out_fd };

struct rig {
	struct talker talker;
	struct spore_server server;
	struct console_door *door;
	int client;
};

static fd_t listening(struct sockaddr_un *ret)
{
	fd_t fd = { socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	*ret = (struct sockaddr_un){ AF_UNIX, "console.sock" };
	assert_int_equal(bind(fd.raw, (struct sockaddr *)ret, sizeof *ret), 0);
	assert_int_equal(listen(fd.raw, 1), 0);
	return fd;
}

static void rig_open(struct rig *r)
{
	struct sockaddr_un at;
	struct diag d = DIAG_INIT;

	*r = (struct rig){ .talker = { { &ops }, eventfd(1, EFD_CLOEXEC), 0 } };
	r->server.machine = &r->talker.base;
	r->server.base = event_base_new();
	r->server.console.fd = listening(&at);
	assert_false(failed(console_door_open(&r->server, &d, &r->door)));
	r->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(r->client, (struct sockaddr *)&at, sizeof at), 0);
}

static void rig_close(struct rig *r)
{
	console_door_close(r->door);
	fd_drop(&r->server.console.fd);
	event_base_free(r->server.base);
	(void)close(r->client);
	(void)close(r->talker.event);
	place_clear();
}

/* As much as is there. */
static void client_reads(const struct rig *r)
{
	static char sink[1 << 20];

	while (recv(r->client, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

static void once(const struct rig *r)
{
	assert_true(event_base_loop(r->server.base, EVLOOP_ONCE) >= 0);
}

/* A socket takes more than that without anybody who reads. */
static void it_takes_turns(void **state)
{
	uint64_t before = 0;
	struct rig r;

	(void)state;
	rig_open(&r);
	for (int turn = 0; turn < 50; turn++) {
		once(&r);
		assert_true(r.talker.given > before);
		assert_true(r.talker.given - before <= AT_ONCE);
		before = r.talker.given;
		client_reads(&r);
	}
	rig_close(&r);
}

/* At the end it gets what is kept, and no more than that. */
static void it_is_left(void **state)
{
	uint64_t before;
	struct rig r;

	(void)state;
	rig_open(&r);
	once(&r);
	client_reads(&r);
	before = r.talker.given;
	console_door_close(r.door);
	r.door = NULL;
	assert_true(r.talker.given - before >= 65536);
	assert_true(r.talker.given - before <= AT_ONCE + 16384);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_takes_turns),
		cmocka_unit_test(it_is_left),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
