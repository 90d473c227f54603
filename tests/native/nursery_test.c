/* SPDX-License-Identifier: Apache-2.0 */
/* Where workers are born: what they do not share, and that they can do without it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "life/worker_layout.h"
#include "support/place.h"
#include "support/puppet.h"
#include "support/worked.h"

static struct zygote *zygote_here(void)
{
	struct request r = kin_request();

	return kin_freeze(kin_boot(&r));
}

static void each_guards_its_stack_with_its_own_word(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct worked *w[2] = { worked_child(h, z), worked_child(h, z) };
	uint64_t word[3] = { puppet_stack_guard(nursery_now()) };

	(void)state;
	for (int i = 0; i < 2; i++)
		word[1 + i] = puppet_stack_guard(worker_pid(worked_worker(w[i])));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(word[i] & 0xFF, 0);
		assert_true(word[i] != word[(i + 1) % 3]);
	}
	for (int i = 0; i < 2; i++) {
		(void)worked_ask(w[i], "echo here");
		worked_free(w[i]);
	}
	home_free(h);
	zygote_free(z);
}

static void workers_live_without_it(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct worked *older = worked_child(h, z), *younger;

	(void)state;
	assert_int_equal(kill(nursery_now(), SIGKILL), 0);
	(void)worked_ask(older, "echo here");
	younger = worked_child(h, z);
	(void)worked_ask(younger, "echo here");
	(void)nursery_now(); /* another */
	worked_free(younger);
	worked_free(older);
	home_free(h);
	assert_int_equal(children_now(), 0);
	zygote_free(z);
}

/* What a terminal sends to all in it. */
static void it_leaves_signals_to_the_supervisor(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	pid_t before = nursery_now();

	(void)state;
	for (size_t i = 0; i < countof(signals); i++)
		assert_int_equal(kill(before, signals[i]), 0);
	worked_free(worked_child(h, z));
	assert_int_equal(nursery_now(), before);
	home_free(h);
	zygote_free(z);
}

static void a_program_that_is_none_is_told(void **state)
{
	struct zygote *z = zygote_here();
	struct worker_kit_options o = { .program = "/bin/true", .cgroup = -1 };
	struct worker_kit *k;
	struct diag d = DIAG_INIT;

	(void)state;
	home_free(home_new(zygote_image(z))); /* or skip */
	assert_int_equal(worker_kit_new(zygote_image(z), &o, &d, &k).code, ERR_REMOTE);
	assert_non_null(strstr(d.text, "/bin/true"));
	zygote_free(z);
}

/* ---- layouts ---- */

static fd_t file_of(const void *bytes, size_t n)
{
	fd_t f = { memfd_create("layout", MFD_CLOEXEC) };

	assert_int_equal(write(f.raw, bytes, n), n);
	return f;
}

static void started_with(const struct home *h, fd_t layout, const char *words)
{
	struct jail_options o = { .netns = -1, .cgroup = -1 };
	owned_fd program = { open(home_program(h), O_PATH | O_CLOEXEC) };
	struct nursery *n = NULL;
	struct diag d = DIAG_INIT;
	err_t e = nursery_start(program.raw, layout.raw, &o, &d, &n);

	if (failed(e) == (words == NULL) || (words != NULL && strstr(d.text, words) == NULL))
		fail_msg("%s, expected \"%s\"", d.text, words == NULL ? "" : words);
	assert_int_not_equal(e.code, ERR_REMOTE); /* it said what was wrong */
	nursery_free(n);
	fd_drop(&layout);
}

/* It says what was wrong, and no worker is born of it. */
static void layouts(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z)); /* or skip */
	struct diag d = DIAG_INIT;
	uint64_t answers_len;
	uint8_t *bytes;
	off_t len;
	fd_t whole;

	(void)state;
	assert_false(failed(worker_layout_write(zygote_image(z), worker_kit_kvm(home_kit(h)), &d,
						&whole)));
	len = lseek(whole.raw, 0, SEEK_END);
	bytes = malloc((size_t)len);
	assert_non_null(bytes);
	assert_int_equal(pread(whole.raw, bytes, (size_t)len, 0), len);
	started_with(h, whole, NULL);
	started_with(h, file_of("", 0), "a layout of 0 bytes");
	started_with(h, (fd_t){ open("/dev/null", O_RDWR | O_CLOEXEC) }, "a layout of 0 bytes");
	started_with(h, file_of(bytes, (size_t)len / 2), "");
	/* What KVM answered, and how long it is, come before the front and the length of its file. */
	memcpy(&answers_len, bytes, sizeof answers_len);
	bytes[8 + answers_len + 8] ^= 1;
	started_with(h, file_of(bytes, (size_t)len), "");
	memset(bytes, 0xFF, 8);
	started_with(h, file_of(bytes, (size_t)len), "");
	free(bytes);
	home_free(h);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_guards_its_stack_with_its_own_word),
		cmocka_unit_test(workers_live_without_it),
		cmocka_unit_test(it_leaves_signals_to_the_supervisor),
		cmocka_unit_test(a_program_that_is_none_is_told),
		cmocka_unit_test(layouts),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
