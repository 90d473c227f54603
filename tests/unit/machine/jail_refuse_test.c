/* SPDX-License-Identifier: Apache-2.0 */
/* Jails that are refused: used wrongly, or on a host that lacks a wall. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "machine/kvm/host.h"
#include "support/jailed.h"
#include "support/test.h"

static void *wait_for_end(void *ctx)
{
	char end;

	return read(*(int *)ctx, &end, 1) == 0 ? NULL : ctx;
}

static void a_process_with_threads_is_refused(void **state)
{
	struct jail_options o = jailed_options();
	struct diag d = DIAG_INIT;
	int hold[2];
	pthread_t t;
	err_t e;

	(void)state;
	o.without = JAIL_WALLS_ALL;
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t, NULL, wait_for_end, &hold[0]), 0);
	e = jail_enter(&o, &d);
	(void)close(hold[1]);
	assert_int_equal(pthread_join(t, NULL), 0);
	(void)close(hold[0]);
	assert_int_equal(e.code, ERR_STATE);
	assert_non_null(strstr(d.text, "this one has 2"));
}

static void wrong_use_is_refused(void **state)
{
	static const int mixed[] = { 5, 2 };
	struct jail_options o = jailed_options();
	struct born c;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(jail_enter(&o, &d).code, ERR_STATE);
	assert_non_null(strstr(d.text, "pid namespace"));
	o.without = JAIL_WALLS_ALL;
	o.keep = mixed;
	o.n_keep = countof(mixed);
	d = DIAG_INIT;
	assert_int_equal(jail_enter(&o, &d).code, ERR_USAGE);
	if (geteuid() != 0)
		return;
	o.uid = 1000;
	d = DIAG_INIT;
	assert_int_equal(jailed_bear(&o, &d, &c).code, ERR_USAGE);
	assert_non_null(strstr(d.text, "1000"));
}

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* In a host that allows nobody a user namespace, as is set for the one it is in. */
static void userns_is_missed(void)
{
	struct jail_options o = jailed_options();
	struct host_report r = { .n = 0 };
	struct born c;
	struct jail_host h;
	struct diag d = DIAG_INIT;
	char map[64];
	err_t e;

	(void)snprintf(map, sizeof map, "%u %u 1", geteuid(), geteuid());
	assert_int_equal(unshare(CLONE_NEWUSER), 0);
	file_write("/proc/self/uid_map", map);
	file_write("/proc/sys/user/max_user_namespaces", "0");
	jail_host_ask(&h);
	assert_int_equal(h.has & JAIL_WITHOUT(JAIL_USERNS), 0);
	e = jailed_bear(&o, &d, &c);
	assert_int_equal(e.code, ERR_JAIL);
	assert_non_null(strstr(d.text, "userns"));
	assert_false(failed(jail_host_require(&h, JAIL_WITHOUT(JAIL_USERNS), NULL)));
	jail_host_report(&r);
	assert_int_equal(r.n, 8);
	assert_string_equal(r.rows[0].name, "jail-userns");
	assert_int_equal(r.rows[0].level, HOST_WARN);
	assert_true(r.rows[0].advice[0] != '\0');
}

static void what_a_host_lacks_is_refused_by_name(void **state)
{
	(void)state;
	jails_needed();
	as_user(userns_is_missed);
	for (uint32_t w = 0; JAIL_WITHOUT(w) <= JAIL_WALLS_ALL; w++) {
		struct jail_host h = { .has = JAIL_WALLS_ALL & ~JAIL_WITHOUT(w) };
		const char *word = jail_wall_word((enum jail_wall)w);
		struct diag d = DIAG_INIT;
		enum jail_wall parsed;

		assert_int_equal(jail_host_require(&h, 0, &d).code, ERR_JAIL);
		assert_non_null(strstr(d.text, word));
		assert_true(jail_wall_parse(word, &parsed));
		assert_int_equal(parsed, w);
		assert_false(failed(jail_host_require(&h, JAIL_WITHOUT(w), NULL)));
	}
	assert_false(jail_wall_parse("walls", &(enum jail_wall){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_with_threads_is_refused),
		cmocka_unit_test(wrong_use_is_refused),
		cmocka_unit_test(what_a_host_lacks_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
