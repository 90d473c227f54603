/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor whose worker speaks nonsense. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "support/liar.h"
#include "support/place.h"
#include "support/worked.h"

enum { DISK = 1 << 20 };

static int to; /* the supervisor, whom it lies to */

static struct zygote *zygote_here(void)
{
	struct request r = kin_request_disk(DISK_COW);

	place_make_disk("disk.img", DISK, 9, DISK);
	return kin_freeze(kin_boot(&r));
}

static void refused(err_t e, const struct diag *d, enum err_code code, const char *words)
{
	if (e.code != code || strstr(d->text, words) == NULL)
		fail_msg("%s (%s), expected \"%s\"", d->text, err_name(e.code), words);
}

#define LIES(X) \
	X(EXITS,       "its worker ended by itself, with status 3") \
	X(GARBAGE,     "its worker does not say what a worker says") \
	X(CUT,         "its worker does not say what a worker says") \
	X(LONG,        "a message that is too long") \
	X(DESCRIPTORS, "a message that is too long") \
	X(EMPTY,       "descriptors without a message") \
	X(VERSION,     "version") \
	X(KIND,        "kind") \
	X(OUTCOME,     "value") \
	X(CODE,        "code") \
	X(NO_CODE,     "a failure without an error") \
	X(SERIAL,      "it answers question 3 when it was asked 0") \
	X(SILENT,      "its worker does not answer") \
	X(HANGS_UP,    "its worker was killed by signal 9 (SIGKILL)") \
	X(REFUSES,     "no, thank you")

enum lie {
#define X(name, words) LIE_##name,
	LIES(X)
#undef X
	LIES_ALL, LIE_ENDED, LIE_LAST_WORDS, LIE_POLITE
};

static void tell(const struct worker_say *s)
{
	liar_tell(to, s, NULL, 0);
}

static void tell_cut(const struct worker_say *s)
{
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);

	worker_say_encode(&o, s);
	ignore(link_send(to, bytes, o.len - 1, NULL, 0, NULL));
}

static void tell_word(size_t at, uint32_t value)
{
	struct worker_say s = { .kind = WORKER_DONE };
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);

	worker_say_encode(&o, &s);
	memcpy(bytes + at, &value, sizeof value);
	ignore(link_send(to, bytes, o.len, NULL, 0, NULL));
}

static void lie_with_descriptors(void)
{
	union { struct cmsghdr head; uint8_t room[CMSG_SPACE(252 * sizeof(int))]; } c = { 0 };
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			      .msg_controllen = sizeof c };
	int fd = 0;

	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN(252 * sizeof(int));
	for (int i = 0; i < 252; i++)
		memcpy(CMSG_DATA(&c.head) + (size_t)i * sizeof fd, &fd, sizeof fd);
	(void)sendmsg(to, &msg, 0);
}

static void say_nothing_with_descriptors(void)
{
	int fds[LINK_FDS_MAX];

	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = to;
	ignore(link_send(to, "", 0, fds, countof(fds), NULL));
}

/* Answers whatever it is asked, until nobody asks. */
static void be_polite(void)
{
	static struct link_in in;
	static struct worker_ask asked;
	struct worker_say done = { .kind = WORKER_DONE, .value = UINT32_MAX };

	do {
		int here = 0;

		liar_tell(to, &done, &here, 1);
		if (failed(link_receive(to, NULL, &in)))
			_exit(4);
		if (in.len != 0 && failed(worker_ask_parse(cur_of(in.bytes, in.len), NULL, &asked)))
			_exit(6);
		done.serial = asked.serial;
		link_drop(&in);
	} while (in.len != 0);
}

/* All that there is room for, in characters of which one would be cut. */
static void tell_last_words(void)
{
	struct worker_say s = { .kind = WORKER_ENDED, .value = VM_CRASH,
				.text = "\033[31m\xC2\x9B" "31m\x7F" };

	for (size_t at = strlen(s.text); at + 3 < sizeof s.text; at += 3)
		memcpy(s.text + at, "\xE2\x82\xAC", 4);
	tell(&s);
}

static void lie(int supervisor, uint8_t l)
{
	static const uint8_t noise[WORKER_MSG_MAX + 1] = { 0xFF, 0xA5, 1 };

	to = supervisor;
	switch ((enum lie)l) {
	case LIE_EXITS:
		_exit(3);
	case LIE_GARBAGE:
		ignore(link_send(to, noise, 700, NULL, 0, NULL));
		return;
	case LIE_CUT:
		tell_cut(&(struct worker_say){ .kind = WORKER_DONE });
		return;
	case LIE_LONG:
		ignore(link_send(to, noise, sizeof noise, NULL, 0, NULL));
		return;
	case LIE_DESCRIPTORS:
		lie_with_descriptors();
		return;
	case LIE_EMPTY:
		say_nothing_with_descriptors();
		return;
	case LIE_VERSION:
		tell_word(0, WORKER_VERSION + 1);
		return;
	case LIE_KIND:
		tell_word(4, 77);
		return;
	case LIE_OUTCOME:
		tell(&(struct worker_say){ .kind = WORKER_ENDED, .value = 6 });
		return;
	case LIE_CODE:
		tell(&(struct worker_say){ .kind = WORKER_FAILED, .code = 9999 });
		return;
	case LIE_NO_CODE:
		tell(&(struct worker_say){ .kind = WORKER_FAILED });
		return;
	case LIE_SERIAL:
		tell(&(struct worker_say){ .kind = WORKER_DONE, .serial = 3 });
		return;
	case LIE_SILENT:
		return;
	case LIE_HANGS_UP:
		(void)close(to);
		return;
	case LIE_REFUSES:
		tell(&(struct worker_say){ .kind = WORKER_FAILED, .code = ERR_JAIL,
					   .text = "no, thank you" });
		_exit(0);
	case LIE_ENDED:
		tell(&(struct worker_say){ .kind = WORKER_ENDED, .value = VM_RESET });
		return;
	case LIE_LAST_WORDS:
		tell_last_words();
		return;
	case LIE_POLITE:
		be_polite();
		return;
	case LIES_ALL:
		return;
	}
}

/* It may have been faster than the first thing that it is asked: then it is said at once. */
static void one_liar(struct worker_kit *k, enum lie l, const char *words)
{
	enum err_code code = l == LIE_REFUSES ? ERR_JAIL : ERR_REMOTE;
	struct worker *w = NULL;
	struct diag d = DIAG_INIT, why = DIAG_INIT;
	err_t e = worker_start(k, NULL, &d, &w);

	if (failed(e)) {
		refused(e, &d, code, words);
		return;
	}
	refused(worker_ready(w, &d), &d, code, words);
	assert_false(failed(worker_ready(w, &why))); /* nothing is pending */
	if (l != LIE_REFUSES) {
		assert_int_equal(worker_outcome(w, &why), VM_ERROR);
		assert_string_equal(why.text, d.text);
	}
	worker_free(w);
}

/* The refusal says why, the outcome says it again, and nothing of the liar is left. */
static void liars(void **state)
{
	static const char *const words[] = {
#define X(name, text) [LIE_##name] = (text),
		LIES(X)
#undef X
	};
	struct zygote *z = zygote_here();
	int first = 0;

	(void)state;
	home_free(home_new(zygote_image(z))); /* or skip */
	for (int l = 0; l < LIES_ALL; l++) {
		struct worker_kit *k = liar_kit(z, (uint8_t)l, l == LIE_SILENT ? 100 : 0);

		one_liar(k, (enum lie)l, words[l]);
		assert_int_equal(children_now(), 0);
		liar_kit_free(k);
		if (l == 0)
			first = entries_of("/proc/self/fd");
		assert_int_equal(entries_of("/proc/self/fd"), first);
	}
	zygote_free(z);
}

/* It ends before it has begun: that is its business, and believed. */
static void ends_at_once(void **state)
{
	struct zygote *z = zygote_here();
	struct worker_kit *k = liar_kit(z, LIE_ENDED, 0);
	struct worker *w = liar_start(k);
	struct diag d = DIAG_INIT;

	(void)state;
	refused(worker_ready(w, &d), &d, ERR_STATE, "the machine has ended: ");
	assert_int_equal(worker_outcome(w, &d), VM_RESET);
	worker_free(w);
	liar_kit_free(k);
	zygote_free(z);
}

/* They can be shown, and said in JSON. */
static void says_what_nobody_can_repeat(void **state)
{
	static const char begin[] = "?[31m?31m?";
	struct zygote *z = zygote_here();
	struct worker_kit *k = liar_kit(z, LIE_LAST_WORDS, 0);
	struct worker *w = liar_start(k);
	struct diag d = DIAG_INIT;
	size_t n;

	(void)state;
	refused(worker_ready(w, &d), &d, ERR_STATE, "the machine has ended: ");
	d = DIAG_INIT;
	assert_int_equal(worker_outcome(w, &d), VM_CRASH);
	n = strlen(d.text);
	assert_memory_equal(d.text, begin, sizeof begin - 1);
	assert_true(n > sizeof d.text - 4);
	for (size_t at = sizeof begin - 1; at < n; at += 3)
		assert_memory_equal(d.text + at, "\xE2\x82\xAC", 3);
	worker_free(w);
	liar_kit_free(k);
	zygote_free(z);
}

/* It does all that it is asked, in its own words, with descriptors that nobody wants. */
static void does_nothing_politely(void **state)
{
	static const uint8_t typed[3] = "ab";
	struct zygote *z = zygote_here(), *made = NULL;
	struct worker_kit *k = liar_kit(z, LIE_POLITE, 0);
	int before = entries_of("/proc/self/fd");
	struct worker *w = liar_start(k);
	struct diag d = DIAG_INIT;
	size_t taken = 99;

	(void)state;
	assert_false(failed(worker_spawn(w, z, &(struct identity){ 0 }, true, &d)));
	assert_false(failed(worker_input(w, typed, sizeof typed, &d, &taken)));
	assert_int_equal(taken, sizeof typed);
	assert_false(failed(worker_pause(w, &d)));
	refused(worker_freeze(w, &d, &made), &d, ERR_STATE, "a zygote's state is not sealed");
	assert_null(made);
	worker_free(w);
	assert_int_equal(entries_of("/proc/self/fd"), before + 2); /* the zygote, packed, and its disk, lent */
	liar_kit_free(k);
	zygote_free(z);
}

/* It says that it is in a state that there is none of, to the next supervisor. */
static void in_no_state(void **state)
{
	struct zygote *z = zygote_here();
	struct worker_kit *k = liar_kit(z, LIE_POLITE, 0);
	struct worker *w = liar_start(k), *next = NULL;
	enum worker_state is = WORKER_IS_EMPTY;
	struct diag d = DIAG_INIT;
	int raw[WORKER_FILES];
	fd_t fds[WORKER_FILES];

	(void)state;
	assert_false(failed(worker_spawn(w, z, &(struct identity){ 0 }, true, &d)));
	assert_false(failed(worker_pack(w, &d, raw)));
	for (int i = 0; i < WORKER_FILES; i++)
		fds[i] = (fd_t){ fcntl(raw[i], F_DUPFD_CLOEXEC, 0) };
	assert_false(failed(worker_adopt(fds, z, &d, &next, &is)));
	assert_int_equal(worker_outcome(next, &d), VM_ERROR);
	assert_non_null(strstr(d.text, "its worker does not say what a worker says"));
	worker_free(next);
	worker_leave(w);
	liar_kit_free(k);
	zygote_free(z);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(liars),
		cmocka_unit_test(ends_at_once),
		cmocka_unit_test(says_what_nobody_can_repeat),
		cmocka_unit_test(does_nothing_politely),
		cmocka_unit_test(in_no_state),
	};
	int status;

	if (liar_serve(argc, argv, lie, &status))
		return status;
	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
