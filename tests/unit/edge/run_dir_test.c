/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime directory: claims, clashes, and what the dead leave. */
#include "edge/lib/run_dir.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/test.h"

static char root[64];

static int begin(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof root, "/tmp/spore-run-XXXXXX");
	return mkdtemp(root) != NULL && setenv("SPORE_RUNTIME_DIR", root, 1) == 0 ? 0 : 1;
}

static int end(void **state)
{
	char lock[80];

	(void)state;
	(void)snprintf(lock, sizeof lock, "%s/.lock", root);
	(void)unlink(lock);
	/* Fails, and the test with it, if a folder was left. */
	return rmdir(root);
}

static size_t living(void)
{
	char **names = NULL;
	size_t n = 0;

	assert_false(failed(run_list(NULL, &names, &n)));
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n;
}

static bool is_there(const char *name)
{
	char path[200];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	return stat(path, &st) == 0;
}

static void claim_and_drop(void **state)
{
	struct run_claim c = RUN_CLAIM_NONE, d = RUN_CLAIM_NONE;
	struct run_place p = RUN_PLACE_NONE;
	struct diag why = DIAG_INIT;

	(void)state;
	assert_false(failed(run_claim_take("one", &why, &c)));
	assert_true(is_there("one/lock") && is_there("one/pid"));
	assert_int_equal(run_claim_take("one", &why, &d).code, ERR_EXISTS);
	assert_false(fd_is_open(d.lock));
	assert_non_null(strstr(why.text, "one: a machine of that name is there already"));
	assert_false(failed(run_find("one", NULL, &p)));
	assert_false(run_place_is_dead(&p));
	assert_int_equal(living(), 1);
	run_claim_drop(&c);
	assert_true(run_place_is_dead(&p));
	run_place_drop(&p);
	assert_false(is_there("one"));
	assert_int_equal(run_find("one", NULL, &p).code, ERR_NOT_FOUND);
	run_claim_drop(&c); /* twice is once */
}

static void names_are_made(void **state)
{
	struct run_claim c[40];

	(void)state;
	for (size_t i = 0; i < countof(c); i++) {
		assert_false(failed(run_claim_take(NULL, NULL, &c[i])));
		assert_false(failed(run_name_check(c[i].name, NULL)));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(c[i].name, c[k].name);
	}
	assert_int_equal(living(), countof(c));
	for (size_t i = 0; i < countof(c); i++)
		run_claim_drop(&c[i]);
}

static void names_are_judged(void **state)
{
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a\n",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
	static const char *const good[] = { "a", "A-b_c.9", "9",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
	struct run_claim c = RUN_CLAIM_NONE;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(run_claim_take(bad[i], NULL, &c).code, ERR_CONFIG);
	for (size_t i = 0; i < countof(good); i++)
		assert_false(failed(run_name_check(good[i], NULL)));
}

/* A child claims, says so, and is killed: the folder stays, and the next look clears it. */
static void the_dead(void **state)
{
	struct run_claim c = RUN_CLAIM_NONE;
	int ends[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (!failed(run_claim_take("dead", NULL, &c)) && write(ends[1], "", 1) == 1)
			(void)pause();
		_exit(1);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(living(), 1);
	assert_int_equal(run_claim_take("dead", NULL, &c).code, ERR_EXISTS);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(is_there("dead/lock"));
	assert_false(failed(run_claim_take("dead", NULL, &c)));
	run_claim_drop(&c);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void rubbish(void **state)
{
	char path[200];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/half", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(living(), 0);
	assert_false(is_there("half"));
	/* what is no folder of ours is left alone */
	(void)snprintf(path, sizeof path, "%s/a file", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(living(), 0);
	assert_int_equal(rmdir(path), 0);
}

static void others_may_not_look(void **state)
{
	struct run_claim c = RUN_CLAIM_NONE;

	(void)state;
	assert_int_equal(chmod(root, 0750), 0);
	assert_int_equal(run_claim_take("x", NULL, &c).code, ERR_CONFIG);
	assert_int_equal(chmod(root, 0700), 0);
}

/* Eight processes want one name at the same moment: one gets it. */
static void a_race(void **state)
{
	int go[2], won[2];
	pid_t pids[8];
	char byte;
	size_t winners = 0;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(won), 0);
	for (size_t i = 0; i < countof(pids); i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		struct run_claim c = RUN_CLAIM_NONE;

		(void)close(go[1]);
		(void)!read(go[0], &byte, 1);
		byte = failed(run_claim_take("race", NULL, &c)) ? 'n' : 'y';
		(void)!write(won[1], &byte, 1);
		(void)pause();
		_exit(0);
	}
	(void)close(go[1]);
	for (size_t i = 0; i < countof(pids); i++) {
		assert_int_equal(read(won[0], &byte, 1), 1);
		winners += byte == 'y' ? 1 : 0;
	}
	assert_int_equal(winners, 1);
	for (size_t i = 0; i < countof(pids); i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	(void)close(go[0]);
	(void)close(won[0]);
	(void)close(won[1]);
	assert_int_equal(living(), 0);
}

static void socket_paths(void **state)
{
	char path[RUN_PATH_MAX], folder[RUN_PATH_MAX];

	(void)state;
	run_socket_path("/run/spore/x", 7, "api.sock", path, sizeof path);
	assert_string_equal(path, "/run/spore/x/api.sock");
	memset(folder, 'f', 98);
	folder[0] = '/';
	folder[98] = '\0';
	run_socket_path(folder, 7, "api.sock", path, sizeof path);
	assert_int_equal(strlen(path), 107);
	folder[98] = 'f';
	folder[99] = '\0';
	run_socket_path(folder, 7, "api.sock", path, sizeof path);
	assert_string_equal(path, "/proc/self/fd/7/api.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(claim_and_drop, begin, end),
		cmocka_unit_test_setup_teardown(names_are_made, begin, end),
		cmocka_unit_test_setup_teardown(names_are_judged, begin, end),
		cmocka_unit_test_setup_teardown(the_dead, begin, end),
		cmocka_unit_test_setup_teardown(rubbish, begin, end),
		cmocka_unit_test_setup_teardown(others_may_not_look, begin, end),
		cmocka_unit_test_setup_teardown(a_race, begin, end),
		cmocka_unit_test(socket_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
