/* SPDX-License-Identifier: Apache-2.0 */
/* The packets between a supervisor and a worker: descriptors, ends, what is too long. */
#include "life/worker_link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/held.h"
#include "support/test.h"

struct pair { int here, there; };

static struct pair pair_new(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){ ends[0], ends[1] };
}

static void pair_drop(struct pair p)
{
	(void)close(p.here);
	(void)close(p.there);
}

static void many_descriptors(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	int fds[LINK_FDS_MAX], before = entries_of("/proc/self/fd");
	static struct link_in in;
	struct stat st;

	(void)state;
	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = p.here;
	assert_false(failed(link_send(p.here, "ab", 2, fds, countof(fds), &d)));
	assert_false(failed(link_receive(p.there, &d, &in)));
	assert_int_equal(in.len, 2);
	assert_memory_equal(in.bytes, "ab", 2);
	assert_int_equal(in.n, countof(fds));
	for (uint32_t i = 0; i < in.n; i++) {
		assert_int_equal(fstat(in.fd[i].raw, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(fcntl(in.fd[i].raw, F_GETFD), FD_CLOEXEC);
	}
	link_drop(&in);
	assert_int_equal(entries_of("/proc/self/fd"), before);
	assert_int_equal(link_send(p.here, "", 1, fds, LINK_FDS_MAX + 1, &d).code, ERR_SIZE);
	pair_drop(p);
}

/* More than there is room for: none of them stays. */
static void too_many_descriptors(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	int before = entries_of("/proc/self/fd");
	static struct link_in in;
	union { struct cmsghdr head; uint8_t room[CMSG_SPACE((LINK_FDS_MAX + 4) * sizeof(int))]; } c;
	struct iovec iov = { c.room, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			      .msg_controllen = sizeof c };

	(void)state;
	memset(&c, 0, sizeof c);
	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN((LINK_FDS_MAX + 4) * sizeof(int));
	for (int i = 0; i < LINK_FDS_MAX + 4; i++)
		memcpy(CMSG_DATA(&c.head) + (size_t)i * sizeof(int), &p.here, sizeof p.here);
	assert_int_equal(sendmsg(p.here, &msg, 0), 1);
	assert_int_equal(link_receive(p.there, &d, &in).code, ERR_SIZE);
	assert_string_equal(d.text, "a message that is too long");
	assert_int_equal(entries_of("/proc/self/fd"), before);
	pair_drop(p);
}

/* They come with no bytes, as an end does. */
static void descriptors_alone(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	int fds[LINK_FDS_MAX], before = entries_of("/proc/self/fd");
	static struct link_in in;

	(void)state;
	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = p.here;
	assert_false(failed(link_send(p.here, "", 0, fds, countof(fds), &d)));
	assert_int_equal(link_receive(p.there, &d, &in).code, ERR_MISSING);
	assert_string_equal(d.text, "descriptors without a message");
	assert_int_equal(in.n, 0);
	assert_int_equal(entries_of("/proc/self/fd"), before);
	pair_drop(p);
}

/* This process may have one file more, and is sent three: it gets none, and the bytes. */
static void no_room_for_descriptors(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	int fds[3] = { p.here, p.here, p.here }, before = entries_of("/proc/self/fd"), next = dup(0);
	static struct link_in in;
	struct rlimit was, low;
	err_t e, empty;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = (struct rlimit){ (rlim_t)next + 1, was.rlim_max };
	(void)close(next);
	assert_false(failed(link_send(p.here, "", 0, fds, countof(fds), &d)));
	assert_false(failed(link_send(p.here, "abc", 3, fds, countof(fds), &d)));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	empty = link_receive(p.there, NULL, &in);
	e = link_receive(p.there, &d, &in);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(empty.code, ERR_MISSING);
	assert_int_equal(e.sys, EMFILE);
	assert_true(in.cut);
	assert_int_equal(in.n, 0);
	assert_int_equal(in.len, 3);
	assert_memory_equal(in.bytes, "abc", 3);
	assert_int_equal(entries_of("/proc/self/fd"), before);
	assert_false(failed(link_send(p.here, "abc", 3, fds, countof(fds), &d)));
	assert_false(failed(link_receive(p.there, &d, &in)));
	assert_false(in.cut);
	assert_int_equal(in.n, countof(fds));
	link_drop(&in);
	pair_drop(p);
}

/* Nobody reads: it is said, sooner or later, and not waited for. */
static void no_room_to_send(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	static struct link_in in;
	err_t e = OK;
	int n = 0;

	(void)state;
	while (!failed(e) && n++ < 100000)
		e = link_send_now(p.here, "abc", 3, NULL, 0, &d);
	assert_int_equal(e.sys, EAGAIN);
	assert_true(n > 100);
	assert_false(failed(link_receive(p.there, &d, &in)));
	assert_false(failed(link_send_now(p.here, "abc", 3, NULL, 0, &d)));
	(void)close(p.there);
	assert_int_equal(link_send_now(p.here, "abc", 3, NULL, 0, &d).code, ERR_REMOTE);
	(void)close(p.here);
}

static void longest_and_one_longer(void **state)
{
	static uint8_t bytes[WORKER_MSG_MAX + 1];
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	static struct link_in in;

	(void)state;
	assert_false(failed(link_send(p.here, bytes, WORKER_MSG_MAX, NULL, 0, &d)));
	assert_false(failed(link_receive(p.there, &d, &in)));
	assert_int_equal(in.len, WORKER_MSG_MAX);
	assert_int_equal(in.n, 0);
	assert_false(failed(link_send(p.here, bytes, sizeof bytes, &p.here, 1, &d)));
	assert_int_equal(link_receive(p.there, &d, &in).code, ERR_SIZE);
	assert_int_equal(in.n, 0);
	pair_drop(p);
}

/* What it said before it went is heard, though something that it was told lies unread. */
static void last_words(void **state)
{
	struct pair p = pair_new();
	struct diag d = DIAG_INIT;
	static struct link_in in;

	(void)state;
	assert_false(failed(link_send(p.there, "end", 3, NULL, 0, &d)));
	assert_false(failed(link_send(p.here, "unread", 6, NULL, 0, &d)));
	(void)close(p.there);
	assert_false(failed(link_receive(p.here, &d, &in)));
	assert_int_equal(in.len, 3);
	for (int i = 0; i < 2; i++) {
		assert_false(failed(link_receive(p.here, &d, &in)));
		assert_int_equal(in.len, 0);
	}
	assert_int_equal(link_send(p.here, "x", 1, NULL, 0, &d).code, ERR_REMOTE);
	assert_string_equal(d.text, "the worker is gone");
	(void)close(p.here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_descriptors),
		cmocka_unit_test(too_many_descriptors),
		cmocka_unit_test(descriptors_alone),
		cmocka_unit_test(no_room_for_descriptors),
		cmocka_unit_test(no_room_to_send),
		cmocka_unit_test(longest_and_one_longer),
		cmocka_unit_test(last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
