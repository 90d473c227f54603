/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that says what it should, and tries to hold its supervisor up, or to fill its memory. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "support/liar.h"
#include "support/place.h"
#include "support/worked.h"

enum { TOO_LONG_S = 40 }; /* for any of these tests: SIGALRM ends the program */
enum { PATIENCE_MS = 9000, LATE_MS = 300, TIMES = 100 };
enum { HUGE_MIB = 900, GROWN_MIB = 100 };

enum what { DEAF, LATE, MUTE, HUGE_STATE };

/* ---- in the worker ---- */

/* Its numbers can be guessed. */
static void be_deaf(int to)
{
	struct worker_say s = { .kind = WORKER_DONE, .value = UINT32_MAX };

	for (;; s.serial++)
		liar_tell(to, &s, NULL, 0);
}

static int huge_state(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (ftruncate(fd, (off_t)MIB(HUGE_MIB)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		_exit(7);
	return fd;
}

static void answer(int to, enum what what, const struct worker_ask *a)
{
	struct worker_say s = { .kind = WORKER_DONE, .serial = a->serial, .value = UINT32_MAX };
	int fd;

	if (what == MUTE && a->kind > WORKER_SPAWN)
		return;
	if (what == HUGE_STATE && a->kind == WORKER_FREEZE) {
		fd = huge_state();
		liar_tell(to, &s, &fd, 1);
		return;
	}
	if (what == LATE && a->kind == WORKER_INPUT) {
		(void)usleep(LATE_MS * 1000);
		s.value = 0;
	}
	liar_tell(to, &s, NULL, 0);
}

static void lie(int to, uint8_t what)
{
	static struct link_in in;
	static struct worker_ask asked;

	if (what == DEAF)
		be_deaf(to);
	liar_tell(to, &(struct worker_say){ .kind = WORKER_DONE }, NULL, 0);
	while (!failed(link_receive(to, NULL, &in)) && in.len != 0) {
		if (failed(worker_ask_parse(cur_of(in.bytes, in.len), NULL, &asked)))
			_exit(6);
		answer(to, (enum what)what, &asked);
		link_drop(&in);
	}
}

/* ---- in the supervisor ---- */

struct case_of {
	struct zygote *z;
	struct worker_kit *kit;
	struct worker *w; /* spawned */
};

static struct case_of begin(enum what what)
{
	struct request r = kin_request();
	struct case_of c = { .z = kin_freeze(kin_boot(&r)) };
	struct diag d = DIAG_INIT;

	home_free(home_new(zygote_image(c.z))); /* or skip */
	(void)alarm(TOO_LONG_S);
	c.kit = liar_kit(c.z, (uint8_t)what, PATIENCE_MS);
	c.w = liar_start(c.kit);
	if (failed(worker_spawn(c.w, c.z, &(struct identity){ 0 }, true, &d)))
		fail_msg("%s", d.text);
	return c;
}

static void over(struct case_of *c)
{
	worker_free(c->w);
	liar_kit_free(c->kit);
	zygote_free(c->z);
	assert_int_equal(children_now(), 0);
	(void)alarm(0);
}

/* Asks until it fails, which must be because it was ended, and says that; how often it did not. */
static int asked_until_ended(struct worker *w, int most, const char *words)
{
	static const uint8_t typed[3] = "ab";
	struct diag d = DIAG_INIT, why = DIAG_INIT;
	size_t taken;
	int n = 0;

	while (n < most && !failed(worker_input(w, typed, sizeof typed, &d, &taken)))
		n++;
	if (n == most)
		fail_msg("it was asked %d times", n);
	assert_int_equal(worker_outcome(w, &why), VM_ERROR);
	assert_non_null(strstr(why.text, words));
	assert_string_equal(d.text, why.text);
	return n;
}

/* It answers without reading, until there is no room for another question. */
static void does_not_read(void **state)
{
	struct case_of c = begin(DEAF);

	(void)state;
	assert_true(asked_until_ended(c.w, 1000, "its worker does not read what it is asked") > 0);
	over(&c);
}

static struct worker *adopted(struct case_of *c, const char *words)
{
	struct worker *next = NULL;
	enum worker_state is = WORKER_IS_EMPTY;
	struct diag d = DIAG_INIT;
	int raw[WORKER_FILES];
	fd_t fds[WORKER_FILES];

	assert_false(failed(worker_pack(c->w, &d, raw)));
	for (int i = 0; i < WORKER_FILES; i++)
		fds[i] = (fd_t){ fcntl(raw[i], F_DUPFD_CLOEXEC, 0) };
	if (failed(worker_adopt(fds, c->z, &d, &next, &is)))
		fail_msg("%s", d.text);
	assert_int_equal(worker_outcome(next, &d), VM_ERROR);
	if (strstr(d.text, words) == NULL)
		fail_msg("%s", d.text);
	return next;
}

/* The supervisor before has left it with no room at all. */
static void does_not_read_the_next(void **state)
{
	struct case_of c = begin(DEAF);

	(void)state;
	while (send(worker_socket(c.w), "ask", 3, MSG_DONTWAIT) == 3)
		;
	worker_free(adopted(&c, "its worker does not read what it is asked"));
	over(&c);
}

/* Each answer comes in time, by itself. */
static void always_late(void **state)
{
	struct case_of c = begin(LATE);
	uint64_t began = now_ns(), ms;
	int n;

	(void)state;
	n = asked_until_ended(c.w, TIMES, "its worker answers too late, again and again");
	ms = (now_ns() - began) / 1000000;
	assert_true(n > 1);
	assert_true(ms < PATIENCE_MS);
	over(&c);
}

static void never(void **state)
{
	struct case_of c = begin(MUTE);
	uint64_t began = now_ns();

	(void)state;
	assert_int_equal(asked_until_ended(c.w, TIMES, "its worker does not answer"), 0);
	assert_true((now_ns() - began) / 1000000 < PATIENCE_MS);
	over(&c);
}

static void does_not_answer_the_next(void **state)
{
	struct case_of c = begin(MUTE);
	uint64_t began = now_ns();

	(void)state;
	worker_free(adopted(&c, "its worker does not answer"));
	assert_true((now_ns() - began) / 1000000000 < 15);
	over(&c);
}

static long peak_mib(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	long kib = -1;

	assert_non_null(f);
	while (kib < 0 && fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "VmHWM: %ld", &kib);
	(void)fclose(f);
	assert_true(kib > 0);
	return kib / 1024;
}

/* It costs the worker nothing: there is nothing in it. */
static void huge(void **state)
{
	struct case_of c = begin(HUGE_STATE);
	struct zygote *made = NULL;
	struct diag d = DIAG_INIT;
	long before;

	(void)state;
	assert_false(failed(worker_pause(c.w, &d)));
	before = peak_mib();
	assert_int_equal(worker_freeze(c.w, &d, &made).code, ERR_SIZE);
	assert_non_null(strstr(d.text, "a zygote's state is 943718400 bytes"));
	assert_true(peak_mib() - before < GROWN_MIB);
	over(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_not_read), cmocka_unit_test(does_not_read_the_next),
		cmocka_unit_test(always_late),   cmocka_unit_test(never),
		cmocka_unit_test(does_not_answer_the_next), cmocka_unit_test(huge),
	};
	int status;

	if (liar_serve(argc, argv, lie, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
