/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls where no machine runs: states, option structures, errors. */
#include <spore.h>

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "support/test.h"

static spore_machine *m;

static int begin(void **state)
{
	(void)state;
	return spore_machine_new(NULL, &m, NULL);
}

static int end(void **state)
{
	(void)state;
	spore_machine_free(m);
	m = NULL;
	return 0;
}

/* Numbers, names and classes are those of the inside. */
static void statuses(void **state)
{
	(void)state;
#define X(name, number, class, text) \
	assert_string_equal(spore_status_name(number), #name); \
	assert_string_equal(spore_status_text(number), text); \
	assert_int_equal(spore_status_class(number), SPORE_CLASS_##class);
	ERR_CODES(X)
#undef X
	assert_string_equal(spore_status_name(9999), "UNKNOWN");
	assert_int_equal(spore_status_class(9999), SPORE_CLASS_MONITOR);
}

static void not_started(void **state)
{
	enum spore_state s = SPORE_ENDED;
	enum spore_outcome o = SPORE_OUTCOME_ERROR;
	struct spore_timings t;
	struct spore_error err;
	size_t n = 77;
	char *text = NULL;
	int fd = 77;

	(void)state;
	assert_int_equal(spore_machine_state(m, &s, &err), SPORE_OK);
	assert_int_equal(s, SPORE_NOT_STARTED);
	assert_int_equal(spore_machine_outcome(m, &o, NULL, &err), SPORE_OK);
	assert_int_equal(o, SPORE_OUTCOME_NONE);
	o = SPORE_OUTCOME_CRASH;
	assert_int_equal(spore_machine_pause(m, &err), SPORE_ERR_STATE);
	assert_non_null(strstr(err.text, "before starting"));
	assert_int_equal(spore_machine_resume(m, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_stop(m, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_snapshot(m, "/tmp/never", NULL, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_wait(m, 0, &o, NULL, &err), SPORE_ERR_STATE);
	assert_int_equal(o, SPORE_OUTCOME_CRASH);
	assert_int_equal(spore_machine_timings(m, &t, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_config(m, &text, &err), SPORE_ERR_STATE);
	assert_null(text);
	assert_int_equal(spore_machine_input(m, "x", 1, &n, &err), SPORE_ERR_STATE);
	assert_int_equal(n, 77);
	assert_int_equal(spore_console_attach(m, &fd, &err), SPORE_ERR_STATE);
	assert_int_equal(fd, 77);
	assert_true(spore_machine_event_fd(m) >= 0);
	assert_true(spore_machine_output_fd(m) >= 0);
	assert_int_equal(spore_machine_name(m, &text, &err), SPORE_OK);
	assert_string_equal(text, "");
	spore_free(text);
}

/* The error is written on failure only, and may be left out. */
static void errors(void **state)
{
	struct spore_error err;
	enum spore_state s;

	(void)state;
	memset(&err, 0x5A, sizeof err);
	assert_int_equal(spore_machine_state(m, &s, &err), SPORE_OK);
	for (size_t i = 0; i < sizeof err; i++)
		assert_int_equal(((uint8_t *)&err)[i], 0x5A);
	assert_int_equal(spore_machine_pause(m, &err), SPORE_ERR_STATE);
	assert_int_equal(err.code, SPORE_ERR_STATE);
	assert_int_equal(err.sys, 0);
	assert_true(err.offset == SPORE_NO_OFFSET);
	assert_string_equal(err.section, "");
	assert_int_equal(spore_machine_pause(m, NULL), SPORE_ERR_STATE);
}

/* Structures of callers that are older or newer than the library. */
static void structures(void **state)
{
	struct { struct spore_config c; uint64_t more; } newer = { SPORE_CONFIG_INIT, 0 };
	struct spore_machine_options o = SPORE_MACHINE_OPTIONS_INIT;
	spore_machine *none = NULL;
	struct spore_error err;

	(void)state;
	newer.c.kernel = "/no/such/kernel";
	newer.c.size = sizeof newer;
	/* zeros that are not known: as if they were not there */
	assert_int_equal(spore_machine_boot(m, &newer.c, &err), SPORE_ERR_FILE);
	newer.more = 1;
	assert_int_equal(spore_machine_boot(m, &newer.c, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text,
			    "spore_config: has fields that this version does not know");
	newer.c.size = sizeof newer.c - 8;
	assert_int_equal(spore_machine_boot(m, &newer.c, &err), SPORE_ERR_USAGE);
	newer.c.size = 0;
	assert_int_equal(spore_machine_boot(m, &newer.c, &err), SPORE_ERR_USAGE);
	newer.c.size = sizeof newer.c;
	newer.c.reserved[7] = 1;
	assert_int_equal(spore_machine_boot(m, &newer.c, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "spore_config: reserved is not zero");
	o.size = 1;
	assert_int_equal(spore_machine_new(&o, &none, &err), SPORE_ERR_USAGE);
	assert_null(none);
}

static void unknown_flags(void **state)
{
	struct spore_restore_options r = SPORE_RESTORE_OPTIONS_INIT;
	struct spore_snapshot_options s = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_server_options v = SPORE_SERVER_OPTIONS_INIT;
	spore_server *none = NULL;
	struct spore_error err;

	(void)state;
	r.flags = 4;
	assert_int_equal(spore_machine_restore(m, "/x", &r, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text,
			    "spore_restore_options: flags are 0x4, expected some of 0x3");
	s.flags = 8;
	assert_int_equal(spore_machine_snapshot(m, "/x", &s, &err), SPORE_ERR_USAGE);
	v.flags = 2;
	assert_int_equal(spore_server_open(m, &v, &none, &err), SPORE_ERR_USAGE);
	assert_null(none);
}

static void refused_boots(void **state)
{
	struct spore_config c = SPORE_CONFIG_INIT;
	const struct spore_disk odd = { "x", 9, 0 }, nowhere = { NULL, SPORE_DISK_RO, 0 };
	struct spore_error err;
	enum spore_state s;

	(void)state;
	assert_int_equal(spore_machine_boot(m, &c, &err), SPORE_ERR_CONFIG);
	c.kernel = "k";
	c.boot = 4;
	assert_int_equal(spore_machine_boot(m, &c, &err), SPORE_ERR_CONFIG);
	c.boot = 0;
	c.n_disks = 1;
	c.disks = &odd;
	assert_int_equal(spore_machine_boot(m, &c, &err), SPORE_ERR_CONFIG);
	c.disks = &nowhere;
	assert_int_equal(spore_machine_boot(m, &c, &err), SPORE_ERR_CONFIG);
	c.n_disks = 0;
	c.kernel = "not \xff UTF-8";
	assert_int_equal(spore_machine_boot(m, &c, &err), SPORE_ERR_CONFIG);
	assert_int_equal(spore_machine_restore(m, "/no/such/file", NULL, &err), SPORE_ERR_FILE);
	assert_non_null(strstr(err.text, "/no/such/file"));
	assert_int_equal(spore_machine_state(m, &s, NULL), SPORE_OK);
	assert_int_equal(s, SPORE_NOT_STARTED);
}

static void documents(void **state)
{
	static const char good[] = "{\"boot-source\":{\"kernel_image_path\":\"k\"}} and more";
	struct spore_config *c = NULL;
	struct spore_error err;

	(void)state;
	assert_int_equal(spore_config_read(good, sizeof good - 1, &c,
					   &err), SPORE_ERR_JSON);
	assert_int_equal(spore_config_read(good, sizeof good - 1 - strlen(" and more"), &c, &err),
			 SPORE_OK);
	assert_string_equal(c->kernel, "k");
	spore_free(c);
}

static void nobody(void **state)
{
	struct spore_error err;
	spore_machine *r = NULL;

	(void)state;
	assert_int_equal(spore_machine_open("./no/such.sock", &r, &err), SPORE_ERR_NOT_FOUND);
	assert_int_equal(spore_machine_open("-x", &r, &err), SPORE_ERR_CONFIG);
	assert_null(r);
	spore_machine_free(NULL);
	spore_machines_free(NULL, 0);
	spore_server_close(NULL);
	spore_free(NULL);
}

static void servers(void **state)
{
	struct spore_server_options o = SPORE_SERVER_OPTIONS_INIT;
	spore_server *s = NULL;
	struct spore_error err;

	(void)state;
	assert_int_equal(spore_server_open(m, &o, &s, &err), SPORE_ERR_USAGE);
	o.api_sock = "";
	assert_int_equal(spore_server_open(m, &o, &s, &err), SPORE_ERR_USAGE);
	o.api_sock = "/no/such/folder/x.sock";
	assert_int_equal(spore_server_open(m, &o, &s, &err), SPORE_ERR_SYS);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test_setup_teardown(not_started, begin, end),
		cmocka_unit_test_setup_teardown(errors, begin, end),
		cmocka_unit_test_setup_teardown(structures, begin, end),
		cmocka_unit_test_setup_teardown(unknown_flags, begin, end),
		cmocka_unit_test_setup_teardown(refused_boots, begin, end),
		cmocka_unit_test(documents),
		cmocka_unit_test_setup_teardown(nobody, begin, end),
		cmocka_unit_test_setup_teardown(servers, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
