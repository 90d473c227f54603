/* SPDX-License-Identifier: Apache-2.0 */
/* RAM: all of it comes back, in any generation, and the file holds no more than was touched. On a
 * disk's file system, since the space that files take is looked at. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

#define MI (1ull << 20)
#define GI (1ull << 30)

static void fill(struct guest *g, uint64_t seed, uint64_t at, uint64_t len)
{
	guest_ask(g, "fill %llu %#llx %#llx", (unsigned long long)seed, (unsigned long long)at,
		  (unsigned long long)len);
}

static void check(struct guest *g, uint64_t seed, uint64_t at, uint64_t len)
{
	const char *answer;

	guest_ask(g, "check %llu %#llx %#llx", (unsigned long long)seed, (unsigned long long)at,
		  (unsigned long long)len);
	/* and once more by our own sum */
	answer = guest_ask(g, "hash %#llx %#llx", (unsigned long long)at, (unsigned long long)len);
	assert_true(answer_number(answer, "hash") == guest_pattern_hash(seed, at, len));
}

static void verify(const char *path)
{
	struct spore_error err;

	spore_must(spore_verify(path, NULL, NULL, &err), &err, "verify");
}

static struct guest *boot_memory(uint64_t memory)
{
	struct spore_config c = guest_config();

	c.memory = memory;
	return guest_boot(&c);
}

static void memory_comes_back(void **state)
{
	struct guest *g = boot_memory(128 * MI), *copy;

	(void)state;
	fill(g, 1, 16 * MI, 8 * MI);
	fill(g, 2, 100 * MI + 4096, 12288); /* not at a block's edge */
	fill(g, 3, 128 * MI - 8, 8);        /* the very last word */
	guest_freeze(g, "memory.spore");
	verify("memory.spore");
	/* the source writes on; the copy must not see it */
	fill(g, 9, 16 * MI, 8 * MI);
	copy = guest_restore("memory.spore", NULL);
	check(copy, 1, 16 * MI, 8 * MI);
	check(copy, 2, 100 * MI + 4096, 12288);
	check(copy, 3, 128 * MI - 8, 8);
	/* nor the source what the copy writes */
	fill(copy, 8, 16 * MI, 8 * MI);
	check(g, 9, 16 * MI, 8 * MI);
	guest_free(g);
	guest_free(copy);
	/* nor the file */
	verify("memory.spore");
}

static void memory_above_four_gib_comes_back(void **state)
{
	const uint64_t end = 4 * GI + 2 * GI;
	struct guest *g = boot_memory(5 * GI), *copy;

	(void)state;
	fill(g, 1, 3 * GI - MI, MI);
	fill(g, 2, 4 * GI, 4 * MI);
	fill(g, 3, end - 2 * MI, 2 * MI);
	guest_freeze(g, "high.spore");
	assert_true(place_blocks("high.spore") < (int64_t)(16 * MI));
	copy = guest_restore("high.spore", NULL);
	check(copy, 1, 3 * GI - MI, MI);
	check(copy, 2, 4 * GI, 4 * MI);
	check(copy, 3, end - 2 * MI, 2 * MI);
	guest_free(copy);
	guest_free(g);
}

static void five_generations(void **state)
{
	struct guest *g = boot_memory(64 * MI), *next;
	char path[32];
	json_t *s;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		fill(g, i, (16 + 8 * i) * MI, 5 * MI + 4096 * i);
		if (i != 0) /* overwrite a part of what the file below has, and free another */
			fill(g, 77, (16 + 8 * (i - 1)) * MI, 2 * MI);
		(void)snprintf(path, sizeof path, "g%u.spore", i);
		guest_pause(g);
		guest_snapshot(g, path);
		verify(path);
		s = frozen_state(path);
		assert_int_equal(state_number(s, "header/generation"), i);
		json_decref(s);
		next = guest_restore(path, NULL);
		guest_free(g);
		g = next;
		for (unsigned k = 0; k <= i; k++) {
			uint64_t at = (16 + 8 * k) * MI, changed = k < i ? 2 * MI : 0;

			if (changed != 0)
				check(g, 77, at, changed);
			check(g, k, at + changed, 5 * MI + 4096 * k - changed);
		}
	}
	guest_free(g);
	/* the first is still what it was */
	g = guest_restore("g0.spore", NULL);
	check(g, 0, 16 * MI, 5 * MI);
	guest_free(g);
}

static void over_its_own_file(void **state)
{
	struct guest *g = boot_memory(64 * MI), *next;

	(void)state;
	fill(g, 1, 16 * MI, 4 * MI);
	for (unsigned i = 0; i < 3; i++) {
		guest_freeze(g, "own.spore");
		verify("own.spore");
		next = guest_restore("own.spore", NULL);
		guest_free(g);
		g = next;
		check(g, 1, 16 * MI, 4 * MI);
		/* from the file under it to the file that replaces it, twice in one life */
		fill(g, 10 + i, 32 * MI, 4 * MI);
		guest_freeze(g, "own.spore");
		check(g, 1, 16 * MI, 4 * MI);
		check(g, 10 + i, 32 * MI, 4 * MI);
	}
	guest_free(g);
}

static void never_resumed(void **state)
{
	struct guest *g = boot_memory(64 * MI), *copy;

	(void)state;
	guest_ask(g, "ticks periodic 1000");
	fill(g, 1, 16 * MI, 4 * MI);
	guest_freeze(g, "a.spore");
	guest_free(g);
	copy = guest_restore_paused("a.spore", NULL);
	guest_snapshot(copy, "b.spore");
	guest_resume(copy); /* and it is none the worse */
	check(copy, 1, 16 * MI, 4 * MI);
	guest_free(copy);
	verify("b.spore");
	g = guest_restore("b.spore", NULL);
	check(g, 1, 16 * MI, 4 * MI);
	guest_ask(g, "ticks wait 3");
	guest_free(g);
}

/* A file has as much data as the guest has memory that is not zero. */
static void holes(void **state)
{
	struct guest *g = boot_memory(1 * GI), *copy;
	int64_t idle, filled, zeroed, again;
	struct stat st;

	(void)state;
	guest_freeze(g, "idle.spore");
	fill(g, 1, 64 * MI, 16 * MI);
	guest_freeze(g, "filled.spore");
	guest_ask(g, "zero 64M 16M");
	guest_freeze(g, "zeroed.spore");
	fill(g, 1, 64 * MI, 16 * MI);
	guest_freeze(g, "x.spore");
	guest_free(g);
	copy = guest_restore("x.spore", NULL);
	guest_ask(copy, "zero 64M 8M");
	guest_ask(copy, "walk 512M 256M"); /* reading takes nothing */
	guest_freeze(copy, "again.spore");
	guest_free(copy);
	idle = place_blocks("idle.spore");
	filled = place_blocks("filled.spore");
	zeroed = place_blocks("zeroed.spore");
	again = place_blocks("again.spore");
	assert_int_equal(stat("idle.spore", &st), 0);
	assert_true(st.st_size > (off_t)GI);
	/* within what file systems round up, and the guest's own pages */
	assert_true(idle < (int64_t)(2 * MI));
	assert_in_range(filled - idle, 16 * MI - MI / 2, 16 * MI + MI / 2);
	assert_in_range(zeroed, 0, (uint64_t)idle + MI / 2);
	assert_in_range(again - idle, 8 * MI - MI / 2, 8 * MI + MI / 2);
}

/* What counts in host time goes on counting in a machine that is paused; all else stands still. */
static void forget_time(json_t *s)
{
	json_t *v;
	size_t i;

	json_object_del(json_object_get(s, "header"), "created_sec");
	json_object_del(json_object_get(s, "header"), "created_nsec");
	json_object_del(json_object_get(s, "header"), "crc");
	json_object_del(s, "clock");
	json_array_foreach(json_object_get(s, "table"), i, v) {
		const char *kind = json_string_value(json_object_get(v, "kind"));

		if (strcmp(kind, "vcpu") == 0 || strcmp(kind, "clock") == 0)
			json_object_del(v, "crc");
	}
	json_array_foreach(json_object_get(s, "vcpu"), i, v) {
		json_object_del(v, "guest_tsc");
		json_object_del(json_object_get(v, "lapic"), "timer_current");
		json_object_del(json_object_get(v, "lapic"), "page");
	}
}

static void same_bytes(const char *a, const char *b, uint64_t from, uint64_t len)
{
	int fa = open(a, O_RDONLY | O_CLOEXEC), fb = open(b, O_RDONLY | O_CLOEXEC);
	static uint8_t x[65536], y[65536];

	assert_true(fa >= 0 && fb >= 0);
	for (uint64_t at = 0; at < len; at += sizeof x) {
		ssize_t n = pread(fa, x, sizeof x, (off_t)(from + at));

		assert_true(n > 0);
		assert_int_equal(pread(fb, y, sizeof y, (off_t)(from + at)), n);
		assert_memory_equal(x, y, (size_t)n);
	}
	close(fa);
	close(fb);
}

static void the_same_machine_makes_the_same_file(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g;
	json_t *a, *b;
	uint64_t ram;

	(void)state;
	c.cpus = 3;
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	guest_ask(g, "fill 5 32M 4M");
	guest_ask(g, "all ticks periodic 1000");
	guest_pause(g);
	guest_snapshot(g, "1.spore");
	guest_snapshot(g, "2.spore");
	a = frozen_state("1.spore");
	b = frozen_state("2.spore");
	ram = state_number(state_row(a, "ram"), "offset");
	forget_time(a);
	forget_time(b);
	if (!json_equal(a, b)) {
		print_message("%s\n%s\n", json_dumps(a, 0), json_dumps(b, 0));
		fail_msg("two files of one paused machine differ in more than time");
	}
	same_bytes("1.spore", "2.spore", ram, 128 * MI);
	json_decref(a);
	json_decref(b);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_comes_back),
		cmocka_unit_test(memory_above_four_gib_comes_back),
		cmocka_unit_test(five_generations),
		cmocka_unit_test(over_its_own_file),
		cmocka_unit_test(never_resumed),
		cmocka_unit_test(holes),
		cmocka_unit_test(the_same_machine_makes_the_same_file),
	};

	return cmocka_run_group_tests_name("memory", tests, place_setup_disk, place_teardown);
}
