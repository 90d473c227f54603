/* SPDX-License-Identifier: Apache-2.0 */
/* What a processor holds, frozen while it is held: the frozen state itself says that the moment was
 * the right one, and both the machine that came back and the one that went on then compare. */
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

enum { GPR_RBX = 0, DR0 = 2000 }; /* positions in the guest's pattern: guest/state.c */

static bool holds_registers(const json_t *s, uint64_t cpu, unsigned dpl)
{
	char at[64];

	(void)snprintf(at, sizeof at, "vcpu/%d/regs/rbx", (int)cpu);
	if (state_number(s, at) != guest_pattern(cpu, GPR_RBX))
		return false;
	(void)snprintf(at, sizeof at, "vcpu/%d/sregs/cs/dpl", (int)cpu);
	return state_number(s, at) == dpl;
}

static bool in_kernel_mode(const json_t *s, void *ctx)
{
	(void)ctx;
	return holds_registers(s, 0, 0);
}

static bool in_user_mode(const json_t *s, void *ctx)
{
	(void)ctx;
	return holds_registers(s, 0, 3);
}

static bool all_in_user_mode(const json_t *s, void *ctx)
{
	unsigned cpus = *(unsigned *)ctx;

	for (unsigned i = 0; i < cpus; i++) {
		if (!holds_registers(s, i, 3))
			return false;
	}
	return true;
}

/* A byte ends the command in each, and its answer must be ok. */
static void both_go_on(struct guest *g, const char *path, const char *word)
{
	struct guest *copy = guest_restore(path, g);

	guest_resume(g);
	guest_tell(copy, "%s", "");
	assert_non_null(strstr(guest_answer(copy), word));
	guest_tell(g, "%s", "");
	assert_non_null(strstr(guest_answer(g), word));
	guest_ask(copy, "echo alive");
	guest_free(copy);
}

static void general_and_debug_registers(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_boot(&c);
	json_t *s;

	(void)state;
	guest_tell(g, "regs");
	guest_freeze_at(g, "regs.spore", in_kernel_mode, NULL);
	s = frozen_state("regs.spore");
	assert_true(state_number(s, "vcpu/0/debugregs/db/0") == guest_pattern(0, DR0) >> 17);
	json_decref(s);
	both_go_on(g, "regs.spore", "rounds=");
	guest_free(g);
}

static void vector_registers(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_boot(&c);
	uint64_t avx = answer_number(guest_ask(g, "cpuid 1"), "ecx") >> 28 & 1;

	(void)state;
	guest_tell(g, "user");
	guest_freeze_at(g, "user.spore", in_user_mode, NULL);
	both_go_on(g, "user.spore", avx ? "vectors=ymm" : "vectors=xmm");
	guest_free(g);
}

static void vector_registers_of_every_cpu(void **state)
{
	struct spore_config c = guest_config();
	unsigned cpus = 3;
	struct guest *g;

	(void)state;
	c.cpus = cpus;
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	guest_tell(g, "all user");
	guest_freeze_at(g, "all.spore", all_in_user_mode, &cpus);
	both_go_on(g, "all.spore", "cpu=2");
	guest_free(g);
}

static void model_specific_registers(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g, *copy;

	(void)state;
	c.cpus = 2;
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	guest_ask(g, "all msr write 42");
	guest_freeze(g, "msr.spore");
	copy = guest_restore("msr.spore", NULL);
	guest_ask(copy, "all msr check 42");
	guest_ask(g, "all msr check 42");
	/* what is checked is what was written: another seed differs */
	guest_tell(g, "all msr check 43");
	assert_memory_equal(guest_line(g), "err", 3);
	guest_free(copy);
	guest_free(g);
}

/* The processor is the same one: CPUID answers alike, the topology's leaves too. */
static void identification(void **state)
{
	static const char *const leaves[] = { "0", "1", "4 0", "7", "0xb 0", "0xd 0", "0xd 1",
					      "0x80000001", "0x80000008" };
	char before[9][256];
	struct spore_config c = guest_config();
	struct guest *g, *copy;

	(void)state;
	c.cpus = 4;
	g = guest_boot(&c);
	for (size_t i = 0; i < 9; i++)
		(void)snprintf(before[i], sizeof before[i], "%s", guest_ask(g, "cpuid %s", leaves[i]));
	guest_freeze(g, "cpuid.spore");
	copy = guest_restore("cpuid.spore", NULL);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(guest_ask(copy, "cpuid %s", leaves[i]), before[i]);
	guest_free(copy);
	guest_free(g);
}

/* A computation that is frozen and restored where it happens to be, again and again: the guest
 * makes it twice and compares. */
static void a_computation_at_many_moments(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_boot(&c), *next;

	(void)state;
	guest_tell(g, "spin");
	for (int i = 0; i < 40; i++) {
		guest_pause(g);
		guest_snapshot(g, "spin.spore");
		next = guest_restore("spin.spore", g);
		guest_free(g);
		g = next;
	}
	guest_tell(g, "%s", "");
	assert_true(answer_number(guest_answer(g), "rounds") > 0);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(general_and_debug_registers),
		cmocka_unit_test(vector_registers),
		cmocka_unit_test(vector_registers_of_every_cpu),
		cmocka_unit_test(model_specific_registers),
		cmocka_unit_test(identification),
		cmocka_unit_test(a_computation_at_many_moments),
	};

	return cmocka_run_group_tests_name("registers", tests, place_setup, place_teardown);
}
