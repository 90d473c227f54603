/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine is branched: it goes on, and what is spawned from the branch goes on too, each from
 * the same instant and neither seeing what the other does. Under load, so that a page or a cluster that
 * was lost, doubled or of another moment is found by the guest itself. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

#define MI (1ull << 20)
enum { BRANCHES = 6 };

static spore_zygote *branch(struct guest *g)
{
	struct spore_branch_options o = SPORE_BRANCH_OPTIONS_INIT;
	uint64_t pause_ns = 0;
	spore_zygote *z = NULL;
	struct spore_error err;

	o.ret_pause_ns = &pause_ns;
	spore_must(spore_machine_branch(guest_machine(g), &o, &z, &err), &err, "branch");
	assert_true(pause_ns > 0);
	return z;
}

static char *id_of(spore_zygote *z, const char *key, char buffer[static 64])
{
	struct spore_error err;
	char *text = NULL;
	json_t *j;

	spore_must(spore_zygote_info(z, &text, &err), &err, "info");
	j = json_loads(text, 0, NULL);
	assert_non_null(j);
	(void)snprintf(buffer, 64, "%s", json_is_string(json_object_get(j, key)) ?
			json_string_value(json_object_get(j, key)) : "none");
	json_decref(j);
	spore_free(text);
	return buffer;
}

static struct guest *boot(uint32_t cpus, uint32_t disk_mode)
{
	const struct spore_disk k = { "disk", disk_mode, 0 };
	struct spore_config c = guest_config();

	c.cpus = cpus;
	if (disk_mode != 0) {
		place_make_disk("disk", 4 << 20, 5, 4 << 20);
		c.disks = &k;
		c.n_disks = 1;
	}
	return guest_boot(&c);
}

static void both_go_on_and_see_nothing_of_each_other(void **state)
{
	struct guest *g = boot(1, 0), *child;
	spore_zygote *z;

	(void)state;
	guest_ask(g, "secret 77");
	guest_ask(g, "fill 1 %#llx %#llx", 32 * MI, 16 * MI);
	z = branch(g);
	guest_ask(g, "check 1 %#llx %#llx", 32 * MI, 16 * MI);
	guest_ask(g, "fill 2 %#llx %#llx", 32 * MI, 16 * MI);
	child = guest_spawn(z, NULL);
	guest_ask(child, "check 1 %#llx %#llx", 32 * MI, 16 * MI);
	guest_ask(child, "fill 3 %#llx %#llx", 32 * MI, 16 * MI);
	guest_ask(g, "check 2 %#llx %#llx", 32 * MI, 16 * MI);
	assert_true(answer_number(guest_ask(g, "nonce 5"), "answer") ==
		    answer_number(guest_ask(child, "nonce 5"), "answer"));
	guest_free(child);
	child = guest_spawn(z, NULL);
	guest_ask(child, "check 1 %#llx %#llx", 32 * MI, 16 * MI);
	guest_free(child);
	spore_zygote_free(z);
	guest_ask(g, "check 2 %#llx %#llx", 32 * MI, 16 * MI);
	guest_free(g);
}

/* `churn` checks at its end every byte that it has written since it began. */
static void memory_is_of_one_instant(void **state)
{
	spore_zygote *z[BRANCHES];
	struct guest *g = boot(1, 0);
	char parent[64], id[64];

	(void)state;
	guest_tell(g, "churn 50 %#llx %#llx", 32 * MI, 32 * MI);
	for (int i = 0; i < BRANCHES; i++) {
		usleep(100000);
		z[i] = branch(g);
		if (i > 0)
			assert_string_equal(id_of(z[i], "parent", parent),
					    id_of(z[i - 1], "id", id));
	}
	guest_type(g, "\n", 1);
	(void)guest_answer(g);
	for (int i = 0; i < BRANCHES; i++) {
		struct guest *child = guest_spawn(z[i], NULL);

		guest_type(child, "\n", 1);
		(void)guest_answer(child);
		guest_free(child);
		spore_zygote_free(z[i]);
	}
	guest_free(g);
}

static void disk_and_memory_are_of_the_same_instant(uint32_t mode)
{
	struct guest *g = boot(1, mode), *child;
	spore_zygote *z[BRANCHES];

	guest_tell(g, "blk 0 load 0 8");
	for (int i = 0; i < BRANCHES; i++) {
		usleep(100000);
		z[i] = branch(g);
	}
	guest_type(g, "\n", 1);
	(void)guest_answer(g);
	guest_ask(g, "blk 0 verify");
	for (int i = 0; i < BRANCHES; i++) {
		child = guest_spawn(z[i], NULL);
		guest_type(child, "\n", 1);
		(void)guest_answer(child);
		guest_ask(child, "blk 0 verify");
		guest_free(child);
		spore_zygote_free(z[i]);
	}
	guest_ask(g, "blk 0 verify");
	guest_free(g);
}

static void a_private_layer(void **state)
{
	(void)state;
	disk_and_memory_are_of_the_same_instant(SPORE_DISK_COW);
}

static void a_disk_that_was_written_in_place(void **state)
{
	(void)state;
	disk_and_memory_are_of_the_same_instant(SPORE_DISK_RW);
}

static void every_processor_goes_on(void **state)
{
	(void)state;
	for (uint32_t cpus = 2; cpus <= 4; cpus += 2) {
		struct guest *g = boot(cpus, 0), *child;
		spore_zygote *z;

		guest_ask(g, "cpus start");
		z = branch(g);
		child = guest_spawn(z, NULL);
		guest_ask(g, "cpus check");
		guest_ask(child, "cpus check");
		guest_ask(child, "all user 1");
		guest_free(child);
		spore_zygote_free(z);
		z = branch(g);
		guest_ask(g, "cpus check");
		spore_zygote_free(z);
		guest_free(g);
	}
}

/* machine -> zygote -> child -> zygote -> grandchild ... */
static void branches_of_branches(void **state)
{
	struct guest *g = boot(1, 0);

	(void)state;
	for (unsigned depth = 0; depth < 10; depth++) {
		struct guest *child;
		spore_zygote *z;

		guest_ask(g, "scatter 64 %u", depth);
		z = branch(g);
		child = guest_spawn(z, NULL);
		guest_free(g);
		spore_zygote_free(z);
		guest_ask(child, "scatter check 64 %u", depth);
		g = child;
	}
	guest_free(g);
}

static void only_a_running_machine_is_branched(void **state)
{
	struct guest *g = boot(1, 0);
	spore_zygote *z = NULL;
	struct spore_error err;

	(void)state;
	guest_pause(g);
	assert_int_equal(spore_machine_branch(guest_machine(g), NULL, &z, &err), SPORE_ERR_STATE);
	assert_string_equal(err.text, "branch: not possible while the machine is paused");
	guest_resume(g);
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	assert_int_equal(spore_machine_branch(guest_machine(g), NULL, &z, &err), SPORE_ERR_STATE);
	assert_null(z);
	guest_free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_go_on_and_see_nothing_of_each_other),
		cmocka_unit_test(memory_is_of_one_instant),
		cmocka_unit_test(a_private_layer),
		cmocka_unit_test(a_disk_that_was_written_in_place),
		cmocka_unit_test(every_processor_goes_on),
		cmocka_unit_test(branches_of_branches),
		cmocka_unit_test(only_a_running_machine_is_branched),
	};

	return cmocka_run_group_tests_name("branch", tests, place_setup, place_teardown);
}
