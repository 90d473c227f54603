/* SPDX-License-Identifier: Apache-2.0 */
/* Identities by themselves and against each other, without a machine. */
#include "edge/lib/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/place.h"
#include "support/test.h"

enum { MANY = 1000 };

static struct spore_identity plain(void)
{
	return (struct spore_identity)SPORE_IDENTITY_INIT;
}

static void assert_refused(const struct spore_identity *s, enum err_code code, const char *text)
{
	struct spore_identity into = plain();
	struct diag d = DIAG_INIT;

	assert_int_equal(identity_take(s, &into, &d).code, code);
	assert_string_equal(d.text, text);
}

static void alone(void **state)
{
	struct spore_identity_disk k[2] = { { 1, SPORE_DISK_RW, "a" }, { 1, SPORE_DISK_RW, "b" } };
	struct spore_identity s = plain(), into = plain();
	struct diag d = DIAG_INIT;

	(void)state;
	assert_false(failed(identity_take(NULL, &into, &d)));
	assert_false(failed(identity_take(&s, &into, &d)));
	s.clock = 2;
	assert_refused(&s, ERR_USAGE, "spore_identity: clock is 2, expected 0 (frozen) or 1 (stepped)");
	s = plain();
	s.reserved[3] = 1;
	assert_refused(&s, ERR_USAGE, "spore_identity: reserved is not zero");
	s = plain();
	s.size = 8;
	assert_int_equal(identity_take(&s, &into, NULL).code, ERR_USAGE);
	s = plain();
	s.name = "-x";
	assert_int_equal(identity_take(&s, &into, NULL).code, ERR_CONFIG);
	s = plain();
	s.disks = k;
	s.n_disks = 2;
	assert_refused(&s, ERR_USAGE, "disk 1 was given two files: a and b");
	k[1].index = 0;
	k[1].mode = 0;
	assert_refused(&s, ERR_USAGE, "disk 0: mode is 0, expected 1 (ro), 2 (rw) or 3 (cow)");
	k[1].mode = SPORE_DISK_RO;
	assert_false(failed(identity_take(&s, &into, &d)));
	k[0].path = "";
	assert_refused(&s, ERR_USAGE, "disk 1: no path");
	s.n_disks = SPORE_DISKS_MAX + 1;
	assert_refused(&s, ERR_USAGE, "19 disks to replace, expected at most 18");
	s = plain();
	s.n_nets = 20;
	assert_refused(&s, ERR_USAGE, "20 network devices, expected at most 19");
}

static void assert_collide(const struct spore_identity *all, size_t n, const char *text)
{
	struct diag d = DIAG_INIT;

	assert_int_equal(identities_compare(all, n, &d).code, text[0] == '\0' ? ERR_NONE : ERR_USAGE);
	assert_string_equal(d.text, text);
}

static void what_only_one_can_have(void **state)
{
	struct spore_identity_net a = { 0, { 2, 0, 0, 0, 0, 1 }, { 0 }, "tap0" }, b = a;
	struct spore_identity s[3] = { plain(), plain(), plain() };

	(void)state;
	assert_collide(s, 3, "");
	s[0].name = "x";
	s[2].name = "x";
	assert_collide(s, 3, "children 0 and 2 would have the same name: x");
	s[2].name = "y";
	s[1].nets = &a;
	s[2].nets = &b;
	s[1].n_nets = s[2].n_nets = 1;
	assert_collide(s, 3, "children 1 and 2 would have the same MAC");
	b.mac[5] = 2;
	assert_collide(s, 3, "children 1 and 2 would have the same tap: tap0");
	b.tap = "tap1";
	assert_collide(s, 3, "");
	/* no MAC of its own is none */
	memset(a.mac, 0, sizeof a.mac);
	memset(b.mac, 0, sizeof b.mac);
	assert_collide(s, 3, "");
	s[0].vsock_cid = s[1].vsock_cid = 3;
	assert_collide(s, 3, "children 0 and 1 would have the same vsock CID");
	s[0].vsock_cid = 4;
	s[0].vsock_path = s[2].vsock_path = "/s";
	assert_collide(s, 3, "children 0 and 2 would have the same vsock socket: /s");
	s[2].vsock_path = "/t";
	s[0].seed = "abc";
	s[1].seed = "abd";
	s[0].seed_len = s[1].seed_len = 3;
	assert_collide(s, 3, "");
	s[1].seed = "abc";
	assert_collide(s, 3, "children 0 and 1 would have the same seed");
}

/* By what a file is, not by what it is called; readers may share. */
static void disks(void **state)
{
	struct spore_identity_disk k[3] = { { 0, SPORE_DISK_RO, "one" }, { 0, SPORE_DISK_COW, "two" },
					    { 0, SPORE_DISK_COW, "./one" } };
	struct spore_identity s[3] = { plain(), plain(), plain() };

	(void)state;
	place_make_disk("one", 4096, 1, 0);
	assert_int_equal(link("one", "two"), 0);
	for (int i = 0; i < 3; i++) {
		s[i].disks = &k[i];
		s[i].n_disks = 1;
	}
	assert_collide(s, 3, "");
	k[1].mode = SPORE_DISK_RW;
	assert_collide(s, 3, "children 0 and 1 would have one disk, which one of them writes in place: "
		       "two");
	k[1].path = "not there";
	assert_collide(s, 3, "");
	s[0].disks = k;
	s[0].n_disks = 3;
	k[1].path = "two";
	assert_collide(s, 1, "child 0 would have one disk, which one of them writes in place twice: two");
}

static void a_thousand(void **state)
{
	static struct spore_identity s[MANY];
	static char name[MANY][16];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		s[i] = plain();
		(void)snprintf(name[i], sizeof name[i], "m%d", i);
		s[i].name = name[i];
	}
	assert_collide(s, MANY, "");
	(void)snprintf(name[900], sizeof name[900], "m%d", 17);
	assert_collide(s, MANY, "children 17 and 900 would have the same name: m17");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone),
		cmocka_unit_test(what_only_one_can_have),
		cmocka_unit_test(disks),
		cmocka_unit_test(a_thousand),
	};

	return cmocka_run_group_tests_name("identity", tests, place_setup, place_teardown);
}
