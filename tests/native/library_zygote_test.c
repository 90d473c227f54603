/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes and spawning through spore.h: what is consumed, what differs, what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

#define VMGENID 0xF0000u /* docs/snapshot-format.md */
enum { CHILDREN = 3, MANY = 4 };

static struct guest *boot(void)
{
	struct spore_config c = guest_config();

	return guest_boot(&c);
}

static spore_zygote *small_zygote(void)
{
	return guest_to_zygote(boot());
}

static struct guest *boot_with_disk(uint32_t mode)
{
	const struct spore_disk k = { "disk", mode, 0 };
	struct spore_config c = guest_config();

	place_make_disk("disk", 1 << 20, 5, 1 << 20);
	c.disks = &k;
	c.n_disks = 1;
	return guest_boot(&c);
}

static json_t *info(spore_zygote *z)
{
	struct spore_error err;
	char *text = NULL;
	json_t *j;

	spore_must(spore_zygote_info(z, &text, &err), &err, "info");
	j = json_loads(text, 0, NULL);
	spore_free(text);
	assert_non_null(j);
	return j;
}

static void assert_ended(spore_machine *m, enum spore_outcome wanted)
{
	enum spore_state s;
	enum spore_outcome o;

	assert_int_equal(spore_machine_state(m, &s, NULL), SPORE_OK);
	assert_int_equal(s, SPORE_ENDED);
	assert_int_equal(spore_machine_outcome(m, &o, NULL, NULL), SPORE_OK);
	assert_int_equal(o, wanted);
}

/* ---- freezing ---- */

static void a_frozen_machine_is_consumed(void **state)
{
	struct spore_freeze_options o = SPORE_FREEZE_OPTIONS_INIT;
	struct guest *g = boot();
	spore_machine *m = guest_machine(g);
	spore_zygote *z = NULL;
	struct spore_timings t;
	struct spore_error err;

	(void)state;
	assert_int_equal(spore_machine_freeze(m, NULL, &z, &err), SPORE_ERR_STATE);
	assert_string_equal(err.text, "freeze: not possible while the machine is running");
	guest_ask(g, "echo it goes on");
	o.flags = 2;
	assert_int_equal(spore_machine_freeze(m, &o, &z, &err), SPORE_ERR_USAGE);
	assert_null(z);
	guest_pause(g);
	spore_must(spore_machine_freeze(m, NULL, &z, &err), &err, "freeze");
	assert_non_null(z);
	assert_ended(m, SPORE_OUTCOME_STOPPED);
	guest_ends(g, SPORE_OUTCOME_STOPPED);
	assert_int_equal(spore_machine_timings(m, &t, &err), SPORE_OK);
	assert_string_equal(t.phases[0].name, "map");
	assert_int_equal(spore_machine_resume(m, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_freeze(m, &(struct spore_freeze_options)
					      SPORE_FREEZE_OPTIONS_INIT, &z, &err), SPORE_ERR_STATE);
	assert_int_equal(spore_machine_stop(m, &err), SPORE_OK);
	guest_free(g);
	spore_zygote_free(z);
}

static void nothing_to_freeze(void **state)
{
	struct guest *g = guest_new();
	spore_zygote *z = NULL;
	struct spore_error err;

	(void)state;
	assert_int_equal(spore_machine_freeze(guest_machine(g), NULL, &z, &err), SPORE_ERR_STATE);
	guest_free(g);
	g = boot();
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	assert_int_equal(spore_machine_freeze(guest_machine(g), NULL, &z, &err), SPORE_ERR_STATE);
	assert_string_equal(err.text, "freeze: the machine has ended");
	assert_ended(guest_machine(g), SPORE_OUTCOME_POWEROFF);
	assert_null(z);
	guest_free(g);
}

/* ---- spawning ---- */

static void children_share_and_differ(void **state)
{
	struct guest *g = boot(), *child[CHILDREN];
	char id[1 + CHILDREN][80];
	spore_zygote *z, *same;
	uint64_t answer;

	(void)state;
	guest_ask(g, "fill 1 32M 4M");
	answer = answer_number(guest_ask(g, "nonce 7"), "answer");
	(void)snprintf(id[0], sizeof id[0], "%s", guest_ask(g, "vmgenid %#x", VMGENID));
	z = guest_to_zygote(g);
	same = spore_zygote_again(z);
	assert_ptr_equal(same, z);
	for (int i = 0; i < CHILDREN; i++)
		child[i] = guest_spawn(z, NULL);
	spore_zygote_free(z);
	spore_zygote_free(same);
	guest_ask(child[0], "fill 2 32M 4M");
	for (int i = 0; i < CHILDREN; i++) {
		assert_true(answer_number(guest_ask(child[i], "nonce 7"), "answer") == answer);
		guest_ask(child[i], "check %d 32M 4M", i == 0 ? 2 : 1);
		(void)snprintf(id[i + 1], sizeof id[0], "%s",
			       guest_ask(child[i], "vmgenid %#x", VMGENID));
		for (int k = 0; k <= i; k++)
			assert_string_not_equal(id[i + 1], id[k]);
	}
	for (int i = 0; i < CHILDREN; i++)
		guest_free(child[i]);
}

static void a_paused_child_runs_when_told(void **state)
{
	spore_zygote *z = small_zygote();
	enum spore_state s;
	struct spore_error err;
	struct spore_timings t;
	spore_machine *m;
	uint64_t sum = 0;
	size_t taken;

	(void)state;
	spore_must(spore_spawn_unjailed(z, NULL, &m, &err), &err, "spawn");
	assert_int_equal(spore_machine_state(m, &s, &err), SPORE_OK);
	assert_int_equal(s, SPORE_PAUSED);
	spore_must(spore_machine_resume(m, &err), &err, "resume");
	while (spore_machine_input(m, "off\n", 4, &taken, &err) != SPORE_OK || taken != 4)
		;
	spore_must(spore_machine_wait(m, -1, &(enum spore_outcome){ 0 }, NULL, &err), &err, "wait");
	spore_must(spore_machine_timings(m, &t, &err), &err, "timings");
	assert_string_equal(t.phases[0].name, "handle");
	assert_string_equal(t.phases[t.n - 2].name, "first entry");
	assert_string_equal(t.phases[t.n - 1].name, "first exit");
	for (uint32_t i = 0; i < t.n; i++)
		sum += t.phases[i].ns;
	assert_true(sum == t.total_ns);
	spore_machine_free(m);
	spore_zygote_free(z);
}

/* A child is what its zygote was, but for what it was told. */
static void what_a_child_is(void **state)
{
	struct spore_identity_disk other = { 0, SPORE_DISK_RW, "other" };
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	spore_zygote *z = guest_to_zygote(boot_with_disk(SPORE_DISK_COW));
	struct spore_error err;
	spore_machine *m;
	char *name, *doc;

	(void)state;
	place_make_disk("other", 1 << 20, 6, 1 << 20);
	id.name = "a-child";
	o.identity = &id;
	spore_must(spore_spawn_unjailed(z, &o, &m, &err), &err, "spawn");
	spore_must(spore_machine_name(m, &name, &err), &err, "name");
	assert_string_equal(name, "a-child");
	spore_free(name);
	spore_must(spore_machine_config(m, &doc, &err), &err, "config");
	assert_non_null(strstr(doc, "/disk\""));
	assert_non_null(strstr(doc, "\"cow\""));
	spore_free(doc);
	spore_machine_free(m);
	id.disks = &other;
	id.n_disks = 1;
	spore_must(spore_spawn_unjailed(z, &o, &m, &err), &err, "spawn");
	spore_must(spore_machine_config(m, &doc, &err), &err, "config");
	assert_non_null(strstr(doc, "other\""));
	assert_non_null(strstr(doc, "\"rw\""));
	spore_free(doc);
	spore_machine_free(m);
	spore_zygote_free(z);
}

/* ---- identity ---- */

static void other_disks(void **state)
{
	struct spore_identity_disk k = { 0, SPORE_DISK_COW, "other" };
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	spore_zygote *z = guest_to_zygote(boot_with_disk(SPORE_DISK_RW));
	struct guest *plain, *given;
	spore_machine *m = NULL;
	struct spore_error err;

	(void)state;
	place_make_disk("other", 1 << 20, 6, 1 << 20);
	o.identity = &id;
	id.disks = &k;
	id.n_disks = 1;
	plain = guest_spawn(z, NULL);
	given = guest_spawn(z, &o);
	guest_ask(plain, "blk 0 check 0 64 5");
	guest_ask(given, "blk 0 check 0 64 6");
	guest_ask(plain, "blk 0 write 0 64 7");
	guest_ask(given, "blk 0 check 0 64 6");
	guest_free(given);
	k.mode = SPORE_DISK_RO;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "disk 0 is writable for the guest, and cannot be made otherwise");
	k.mode = SPORE_DISK_COW;
	k.index = 1;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "disk 1 was given another file, but the machine has 1 disks");
	k.index = 0;
	k.path = "nowhere";
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_FILE);
	k.path = "disk";
	k.mode = SPORE_DISK_RW;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_LOCKED);
	assert_null(m);
	guest_free(plain);
	spore_zygote_free(z);
}

static void devices_it_has_not(void **state)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	struct spore_identity_net net = { 0, { 2, 0, 0, 0, 0, 1 }, { 0 }, NULL };
	spore_zygote *z = small_zygote();
	struct spore_error err;
	spore_machine *m = NULL;

	(void)state;
	o.identity = &id;
	id.nets = &net;
	id.n_nets = 1;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "the machine has no network device to give a MAC to");
	id = (struct spore_identity)SPORE_IDENTITY_INIT;
	id.vsock_cid = 3;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "the machine has no vsock device to give a CID to");
	id = (struct spore_identity)SPORE_IDENTITY_INIT;
	id.hostname = "h";
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	id = (struct spore_identity)SPORE_IDENTITY_INIT;
	id.seed = "s";
	id.seed_len = 1;
	assert_int_equal(spore_spawn_unjailed(z, &o, &m, &err), SPORE_ERR_USAGE);
	assert_null(m);
	spore_zygote_free(z);
}

/* One cannot be spawned: the others are, and it says why. */
static void some_of_many(void **state)
{
	const struct spore_identity_disk bad = { 0, SPORE_DISK_COW, "nowhere" };
	struct spore_identity id[MANY];
	struct spore_child c[MANY];
	spore_zygote *z = guest_to_zygote(boot_with_disk(SPORE_DISK_COW));
	struct spore_error err;

	(void)state;
	memset(c, 0, sizeof c);
	for (int i = 0; i < MANY; i++) {
		id[i] = (struct spore_identity)SPORE_IDENTITY_INIT;
		c[i].identity = &id[i];
	}
	id[1].name = id[3].name = "twin";
	assert_int_equal(spore_spawn_many_unjailed(z, NULL, c, MANY, &err), SPORE_ERR_USAGE);
	assert_string_equal(err.text, "children 1 and 3 would have the same name: twin");
	for (int i = 0; i < MANY; i++)
		assert_null(c[i].ret_machine);
	id[1].name = "single";
	id[2].disks = &bad;
	id[2].n_disks = 1;
	assert_int_equal(spore_spawn_many_unjailed(z, NULL, c, MANY, &err), SPORE_ERR_FILE);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(c[i].ret_status, i == 2 ? SPORE_ERR_FILE : SPORE_OK);
		assert_true((c[i].ret_machine == NULL) == (i == 2));
		spore_machine_free(c[i].ret_machine);
	}
	assert_string_equal(err.text, c[2].ret_error.text);
	spore_zygote_free(z);
}

/* ---- files, and what is told ---- */

static void saved_and_opened(void **state)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct guest *g = boot_with_disk(SPORE_DISK_COW), *child;
	spore_zygote *z, *again = NULL;
	struct spore_error err;

	(void)state;
	guest_ask(g, "fill 3 40M 1M");
	guest_ask(g, "blk 0 write 8 8 9");
	z = guest_to_zygote(g);
	o.flags = SPORE_SNAPSHOT_STOP;
	assert_int_equal(spore_zygote_save(z, "z.spore", &o, &err), SPORE_ERR_USAGE);
	spore_must(spore_zygote_save(z, "z.spore", NULL, &err), &err, "save");
	spore_zygote_free(z);
	spore_must(spore_verify("z.spore", NULL, NULL, &err), &err, "verify");
	spore_must(spore_zygote_open("z.spore", NULL, &again, &err), &err, "open");
	/* It is in memory: what becomes of the file is nothing to it. */
	assert_int_equal(truncate("z.spore", 4096), 0);
	child = guest_spawn(again, NULL);
	guest_ask(child, "check 3 40M 1M");
	guest_ask(child, "blk 0 check 8 8 9");
	guest_ask(child, "blk 0 check 16 8 5");
	guest_free(child);
	spore_zygote_free(again);
	assert_int_equal(spore_zygote_open("z.spore", NULL, &again, &err), SPORE_ERR_TRUNCATED);
	assert_int_equal(spore_zygote_open("nowhere", NULL, &again, &err), SPORE_ERR_FILE);
	assert_non_null(strstr(err.text, "nowhere"));
}

static bool has_layer(const json_t *zygote, uint64_t inode)
{
	const json_t *layers = state_at(zygote, "layers");

	for (size_t i = 0; i < json_array_size(layers); i++)
		if (state_number(json_array_get(layers, i), "inode") == inode)
			return true;
	return false;
}

static void what_it_tells(void **state)
{
	struct guest *g = boot();
	spore_zygote *z, *child;
	json_t *a, *b;

	(void)state;
	guest_ask(g, "fill 1 32M 4M");
	z = guest_to_zygote(g);
	a = info(z);
	child = guest_to_zygote(guest_spawn(z, NULL));
	b = info(child);
	assert_true(json_is_null(state_at(a, "parent")));
	assert_string_equal(json_string_value(state_at(b, "parent")),
			    json_string_value(state_at(a, "id")));
	assert_string_not_equal(json_string_value(state_at(b, "id")),
				json_string_value(state_at(a, "id")));
	assert_int_equal(state_number(a, "generation"), 0);
	assert_int_equal(state_number(b, "generation"), 1);
	assert_int_equal(state_number(a, "vcpus"), 1);
	assert_int_equal(state_number(a, "memory"), 128 << 20);
	assert_string_equal(json_string_value(state_at(a, "devices/0/kind")), "rng");
	assert_in_range(state_number(a, "pieces"), 1, 8);
	assert_in_range(state_number(a, "resident"), 4 << 20, 16 << 20);
	/* What a child did not write, it has of its parent. */
	assert_true(has_layer(b, state_number(a, "layers/0/inode")));
	json_decref(a);
	json_decref(b);
	spore_zygote_free(z);
	spore_zygote_free(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_machine_is_consumed),
		cmocka_unit_test(nothing_to_freeze),
		cmocka_unit_test(children_share_and_differ),
		cmocka_unit_test(a_paused_child_runs_when_told),
		cmocka_unit_test(what_a_child_is),
		cmocka_unit_test(other_disks),
		cmocka_unit_test(devices_it_has_not),
		cmocka_unit_test(some_of_many),
		cmocka_unit_test(saved_and_opened),
		cmocka_unit_test(what_it_tells),
	};

	return cmocka_run_group_tests_name("library: zygotes", tests, place_setup, place_teardown);
}
