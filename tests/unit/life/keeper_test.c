/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor hears of a keeper: all of it is judged, and each entry's files are somebody's. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "life/keeper_parts.h"
#include "support/held.h"
#include "support/test.h"

struct ends { fd_t ours, its; };

static struct ends ends_new(void)
{
	int raw[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw), 0);
	return (struct ends){ { raw[0] }, { raw[1] } };
}

static void says(const struct ends *e, uint32_t version, uint32_t n)
{
	const struct keeper_say s = { version, n, getpid() };

	assert_false(failed(link_send(e->its.raw, &s, sizeof s, NULL, 0, NULL)));
}

static struct keeper_ask entry_sample(void)
{
	return (struct keeper_ask){ .verb = KEEPER_PUT, .key = "machine/anna", .text = "text" };
}

static const size_t sample_len = offsetof(struct keeper_ask, text) + sizeof "text";

static void tells(const struct ends *e, const struct keeper_ask *a, size_t len)
{
	int files[2] = { e->its.raw, e->its.raw };

	assert_false(failed(link_send(e->its.raw, a, len, files, 2, NULL)));
}

static err_t count(void *n, struct keeper_entry *e, struct diag *d)
{
	(void)d;
	assert_string_equal(e->key, "machine/anna");
	assert_string_equal(e->text, "text");
	assert_int_equal(e->n, 2);
	++*(int *)n;
	return OK;
}

/* Hangs up when it has said all; returns how many entries were heard. */
static int met(struct ends *e, enum err_code code, const char *words)
{
	struct keeper *k = NULL;
	struct diag d = DIAG_INIT;
	int n = 0;
	err_t failure;

	fd_drop(&e->its);
	failure = keeper_meet(&e->ours, count, &n, &d, &k);
	if (failure.code != code || strstr(d.text, words) == NULL)
		fail_msg("%s (%s), expected \"%s\"", d.text, err_name(failure.code), words);
	assert_false(fd_is_open(e->ours));
	keeper_leave(k);
	return n;
}

static void entries_are_told(void **state)
{
	struct keeper_ask a = entry_sample();
	int before = entries_of("/proc/self/fd");
	struct ends e = ends_new();

	(void)state;
	says(&e, KEEPER_VERSION, 2);
	tells(&e, &a, sample_len);
	tells(&e, &a, sample_len);
	assert_int_equal(met(&e, ERR_NONE, ""), 2);
	assert_int_equal(entries_of("/proc/self/fd"), before);
}

static void another_build(void **state)
{
	struct ends e = ends_new();

	(void)state;
	says(&e, KEEPER_VERSION + 1, 0);
	assert_int_equal(met(&e, ERR_VERSION, "is of another build (2), expected 1"), 0);
}

static void hangs_up(void **state)
{
	struct keeper_ask a = entry_sample();
	struct ends e = ends_new();

	(void)state;
	assert_int_equal(met(&e, ERR_REMOTE, "is gone"), 0);
	e = ends_new();
	says(&e, KEEPER_VERSION, 2);
	tells(&e, &a, sample_len);
	assert_int_equal(met(&e, ERR_REMOTE, "is gone"), 1);
}

static void nonsense(void **state)
{
	const struct { size_t len, at; uint8_t value; } wrong[] = {
		{ 4, 0, KEEPER_PUT },
		{ offsetof(struct keeper_ask, text), 0, KEEPER_PUT },
		{ sample_len, 0, KEEPER_DROP },
		{ sample_len, 0, 99 },
		{ sample_len, sample_len - 1, 'x' },
		{ sizeof(struct keeper_ask) + 1, 0, KEEPER_PUT },
	};
	int before = entries_of("/proc/self/fd");

	(void)state;
	for (size_t i = 0; i < countof(wrong); i++) {
		uint8_t bytes[sizeof(struct keeper_ask) + 1] = { 0 };
		struct keeper_ask a = entry_sample();
		struct ends e = ends_new();

		memcpy(bytes, &a, sizeof a);
		bytes[wrong[i].at] = wrong[i].value;
		says(&e, KEEPER_VERSION, 1);
		tells(&e, (const void *)bytes, wrong[i].len);
		assert_int_equal(met(&e, ERR_REMOTE, "does not say what a keeper says"), 0);
		assert_int_equal(entries_of("/proc/self/fd"), before);
	}
}

static void key_without_end(void **state)
{
	struct keeper_ask a = entry_sample();
	struct ends e = ends_new();

	(void)state;
	memset(a.key, 'k', sizeof a.key);
	says(&e, KEEPER_VERSION, 1);
	tells(&e, &a, sample_len);
	assert_int_equal(met(&e, ERR_REMOTE, "does not say what a keeper says"), 0);
}

/* That is this process's own fault, and told as such. */
static void no_room_for_files(void **state)
{
	struct keeper_ask a = entry_sample();
	int before = entries_of("/proc/self/fd"), next;
	struct ends e = ends_new();
	struct rlimit was, low;

	(void)state;
	says(&e, KEEPER_VERSION, 1);
	tells(&e, &a, sample_len);
	/* One for the keeper's process, where its end of the socket was, and one for two files. */
	next = dup(0);
	(void)close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = (struct rlimit){ (rlim_t)next + 1, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(met(&e, ERR_SYS, "not enough descriptors for all that is kept"), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(entries_of("/proc/self/fd"), before);
}

static err_t refuse(void *n, struct keeper_entry *e, struct diag *d)
{
	(void)n;
	(void)e;
	return diag_fail(d, FAIL(ERR_STATE), "not that one");
}

/* What is refused is the keeper's still; what is too large for it is said before it is sent. */
static void refused(void **state)
{
	static char text[KEEPER_TEXT_MAX + 2];
	struct keeper_ask a = entry_sample();
	struct ends e = ends_new();
	struct keeper *k = NULL;
	struct diag d = DIAG_INIT;

	(void)state;
	says(&e, KEEPER_VERSION, 1);
	tells(&e, &a, sample_len);
	assert_int_equal(keeper_meet(&e.ours, refuse, NULL, &d, &k).code, ERR_STATE);
	assert_string_equal(d.text, "not that one");
	fd_drop(&e.its);
	e = ends_new();
	says(&e, KEEPER_VERSION, 0);
	assert_false(failed(keeper_meet(&e.ours, refuse, NULL, &d, &k)));
	memset(text, 't', sizeof text - 1);
	assert_int_equal(keeper_put(k, "machine/anna", text, NULL, 0, &d).code, ERR_SIZE);
	says(&e, KEEPER_VERSION, EMFILE);
	assert_int_equal(keeper_put(k, "machine/anna", "", NULL, 0, &d).sys, EMFILE);
	fd_drop(&e.its);
	assert_int_equal(keeper_put(k, "machine/anna", "", NULL, 0, &d).code, ERR_REMOTE);
	keeper_leave(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_told), cmocka_unit_test(another_build),
		cmocka_unit_test(hangs_up), cmocka_unit_test(nonsense),
		cmocka_unit_test(key_without_end), cmocka_unit_test(no_room_for_files),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
