/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls on zygotes, pools and sets of machines where no machine runs. */
#include <spore.h>

#include <string.h>

#include "support/place.h"
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

static void freezing(void **state)
{
	struct { struct spore_freeze_options o; uint64_t more; } newer = {
		SPORE_FREEZE_OPTIONS_INIT, 0 };
	struct spore_error err;
	spore_zygote *z = NULL;

	(void)state;
	assert_int_equal(spore_machine_freeze(m, NULL, &z, &err), SPORE_ERR_STATE);
	assert_non_null(strstr(err.text, "before starting"));
	newer.o.flags = SPORE_FREEZE_PAUSE;
	newer.o.size = sizeof newer;
	assert_int_equal(spore_machine_freeze(m, &newer.o, &z, &err), SPORE_ERR_STATE);
	newer.more = 1;
	assert_int_equal(spore_machine_freeze(m, &newer.o, &z, &err), SPORE_ERR_USAGE);
	newer.o.size = 8;
	assert_int_equal(spore_machine_freeze(m, &newer.o, &z, &err), SPORE_ERR_USAGE);
	newer.o.size = sizeof newer.o;
	newer.o.flags = 2;
	assert_int_equal(spore_machine_freeze(m, &newer.o, &z, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "spore_freeze_options: flags are 0x2, expected some of 0x1");
	newer.o.flags = 0;
	newer.o.reserved[0] = 1;
	assert_int_equal(spore_machine_freeze(m, &newer.o, &z, &err), SPORE_ERR_USAGE);
	assert_null(z);
}

static void opening(void **state)
{
	struct spore_zygote_options o = SPORE_ZYGOTE_OPTIONS_INIT;
	struct spore_error err;
	spore_zygote *z = NULL;

	(void)state;
	assert_int_equal(spore_zygote_open("nowhere", &o, &z, &err), SPORE_ERR_FILE);
	place_make_disk("disk", 8192, 1, 8192);
	assert_int_equal(spore_zygote_open("disk", &o, &z, &err), SPORE_ERR_MAGIC);
	o.flags = 1;
	assert_int_equal(spore_zygote_open("disk", &o, &z, &err), SPORE_ERR_USAGE);
	o.flags = 0;
	o.reserved[7] = 1;
	assert_int_equal(spore_zygote_open("disk", &o, &z, &err), SPORE_ERR_USAGE);
	assert_null(z);
	spore_zygote_free(NULL);
	spore_pool_free(NULL);
}

/* A machine in another process: its server need not even answer. */
static void remote_machines(void **state)
{
	struct spore_server_options o = SPORE_SERVER_OPTIONS_INIT;
	spore_machine *remote = NULL;
	spore_events *e = NULL;
	spore_zygote *z = NULL;
	spore_server *s = NULL;
	struct spore_error err;

	(void)state;
	o.api_sock = "./remote.sock";
	assert_int_equal(spore_server_open(m, &o, &s, &err), SPORE_OK);
	assert_int_equal(spore_machine_open("./remote.sock", &remote, &err), SPORE_OK);
	assert_int_equal(spore_machine_freeze(remote, NULL, &z, &err), SPORE_ERR_STATE);
	assert_string_equal(err.text,
			    "freeze: ./remote.sock: the machine has no name, and with it no handoff.sock");
	assert_null(z);
	assert_int_equal(spore_events_new(&e, &err), SPORE_OK);
	assert_int_equal(spore_events_add(e, remote, NULL, &err), SPORE_ERR_STATE);
	assert_string_equal(err.text, "events: only machines in this process can be watched");
	spore_events_free(e);
	spore_machine_free(remote);
	spore_server_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(freezing, begin, end),
		cmocka_unit_test(opening),
		cmocka_unit_test_setup_teardown(remote_machines, begin, end),
	};

	return cmocka_run_group_tests_name("calls on zygotes", tests, place_setup, place_teardown);
}
