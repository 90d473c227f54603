/* SPDX-License-Identifier: Apache-2.0 */
/* A machine is frozen into memory and spawned from: what its children share, what they have of their
 * own, and how long they go on without the rest of the family. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plan/image.h"
#include "support/kin.h"
#include "support/place.h"
#include "support/tguest.h"

#define VMGENID 0xF0000u /* docs/snapshot-format.md */
enum { CHILDREN = 6, DEPTH = 8, SECRET = 4711, ID_ROOM = 80, DISK = 4 << 20 };

static const struct identity as_it_is;

static void make_disk(void)
{
	place_make_disk("disk.img", DISK, 99, DISK);
}

/* Half of them in shells. */
static struct kin *child_of(struct zygote *z, int i)
{
	return i % 2 ? kin_child_in_shell(z) : kin_child(z);
}

/* Everything that a child has to find as it was. */
static struct kin *prepared(uint32_t cpus)
{
	struct request r = kin_request_disk(DISK_COW);
	struct kin *k;

	make_disk();
	r.cpus = cpus;
	k = kin_boot(&r);
	(void)kin_ask(k, "cpus start");
	(void)kin_ask(k, "cpus idle");
	(void)kin_ask(k, "fill 5 17M 4M");
	(void)kin_ask(k, "secret %d", SECRET);
	(void)kin_ask(k, "all msr write 3");
	(void)kin_ask(k, "kvmclock");
	(void)kin_ask(k, "blk 0 load 50");
	(void)kin_ask(k, "all ticks periodic 10000");
	return k;
}

static void as_it_was(struct kin *k)
{
	const uint64_t nonce = now_ns();
	const char *answer = kin_ask(k, "nonce %llu", (unsigned long long)nonce);

	assert_true(answer_number(answer, "answer") == guest_pattern(SECRET, nonce));
	(void)kin_ask(k, "check 5 17M 4M");
	(void)kin_ask(k, "all msr check 3");
	(void)kin_ask(k, "all regs 20");
	(void)kin_ask(k, "all user 20");
	(void)kin_ask(k, "all ticks wait 2");
	(void)kin_ask(k, "all kvmclock");
	(void)kin_ask(k, "blk 0 verify");
}

static void generation_id(struct kin *k, char ret[ID_ROOM])
{
	(void)snprintf(ret, ID_ROOM, "%s", kin_ask(k, "vmgenid %#x", VMGENID));
}

static void all_answer(uint32_t cpus)
{
	struct zygote *z = kin_freeze(prepared(cpus));
	char id[CHILDREN][ID_ROOM];
	struct kin *k[CHILDREN];

	for (int i = 0; i < CHILDREN; i++)
		k[i] = child_of(z, i);
	for (int i = 0; i < CHILDREN; i++) {
		as_it_was(k[i]);
		generation_id(k[i], id[i]);
		for (int n = 0; n < i; n++)
			assert_string_not_equal(id[i], id[n]);
	}
	for (int i = 0; i < CHILDREN; i++)
		kin_free(k[i]);
	zygote_free(z);
}

static void one_cpu(void **state)
{
	(void)state;
	all_answer(1);
}

static void two_cpus(void **state)
{
	(void)state;
	all_answer(2);
}

static void four_cpus(void **state)
{
	(void)state;
	all_answer(4);
}

/* Memory and disk: each goes its own way, and the zygote stays what it was. */
static void children_do_not_see_each_other(void **state)
{
	struct zygote *z = kin_freeze(prepared(1));
	struct kin *k[CHILDREN], *late;

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		k[i] = child_of(z, i);
		(void)kin_ask(k[i], "fill %d 18M 1M", 100 + i);
		(void)kin_ask(k[i], "blk 0 write 64 200 %d", 100 + i);
	}
	for (int i = 0; i < CHILDREN; i++) {
		(void)kin_ask(k[i], "check 5 17M 1M");
		(void)kin_ask(k[i], "check %d 18M 1M", 100 + i);
		(void)kin_ask(k[i], "check 5 19M 2M");
		(void)kin_ask(k[i], "blk 0 check 64 200 %d", 100 + i);
		(void)kin_ask(k[i], "blk 0 load 100 16");
		(void)kin_ask(k[i], "blk 0 verify");
	}
	late = kin_child(z);
	as_it_was(late);
	kin_free(late);
	for (int i = 0; i < CHILDREN; i++)
		kin_free(k[i]);
	zygote_free(z);
}

/* The last in a row of generations, each of which wrote some more to memory and disk. */
static void children_of_children(uint32_t cpus)
{
	struct zygote *z = kin_freeze(prepared(cpus));
	struct kin *k = child_of(z, 0);

	for (int depth = 1; depth <= DEPTH; depth++) {
		struct zygote *below = z;
		struct zygote_id parent = zygote_id(below), said;

		as_it_was(k);
		(void)kin_ask(k, "fill %d %dK 20K", depth, 24 * 1024 + depth * 40);
		(void)kin_ask(k, "touch 26M 1M 8192");
		(void)kin_ask(k, "blk 0 load 20");
		z = kin_freeze(k);
		said = zygote_parent(z);
		assert_memory_equal(&said, &parent, sizeof parent);
		zygote_free(below);
		assert_int_equal(image_head(zygote_image(z))->generation, depth);
		k = child_of(z, depth);
		for (int i = 1; i <= depth; i++)
			(void)kin_ask(k, "check %d %dK 20K", i, 24 * 1024 + i * 40);
	}
	zygote_free(z);
	as_it_was(k);
	kin_free(k);
}

static void to_depth_eight(void **state)
{
	(void)state;
	children_of_children(1);
}

static void to_depth_eight_of_four_cpus(void **state)
{
	(void)state;
	children_of_children(4);
}

/* ---- who outlives whom ---- */

static void children_outlive_their_zygote(void **state)
{
	struct zygote *z = kin_freeze(prepared(1)), *again = zygote_again(z);
	struct kin *k[CHILDREN];
	static const int order[CHILDREN] = { 3, 0, 5, 1, 4, 2 };

	(void)state;
	for (int i = 0; i < CHILDREN; i++)
		k[i] = child_of(z, i);
	zygote_free(z);
	for (int i = 0; i < CHILDREN; i++)
		(void)kin_ask(k[i], "check 5 17M 2M");
	zygote_free(again);
	for (int i = 0; i < CHILDREN; i++) {
		as_it_was(k[order[i]]);
		kin_free(k[order[i]]);
	}
}

/* Never run, and frozen again as it lies. */
static void frozen_before_it_ran(void **state)
{
	struct zygote *z = kin_freeze(prepared(2)), *next;
	struct kin *k;

	(void)state;
	for (int i = 0; i < 3; i++) {
		next = kin_freeze(kin_spawn(z, &as_it_is));
		zygote_free(z);
		z = next;
	}
	k = kin_child(z);
	as_it_was(k);
	kin_free(k);
	zygote_free(z);
}

/* ---- registers in mid use ---- */

/* Frozen while it holds known values, in kernel mode or at CPL3: a byte ends the command, and its
 * answer says whether they were all there. */
static void registers_are_held_through_it(void **state)
{
	static const char *const commands[] = { "all regs", "all user", "all spin" };
	struct request r = kin_request();

	(void)state;
	r.cpus = 2;
	for (size_t c = 0; c < 3; c++) {
		struct kin *k = kin_boot(&r), *child;
		struct zygote *z;

		(void)kin_ask(k, "cpus start");
		kin_tell(k, "%s", commands[c]);
		for (int i = 0; i < 6; i++) {
			(void)usleep(1000 + (useconds_t)i * 700); /* somewhere in it */
			z = kin_freeze(k);
			k = child_of(z, i);
			child = child_of(z, i + 1);
			zygote_free(z);
			kin_tell(child, "%s", "");
			assert_non_null(strstr(kin_answer(child), "rounds="));
			kin_free(child);
		}
		kin_tell(k, "%s", "");
		(void)kin_answer(k);
		kin_free(k);
	}
}

/* ---- names ---- */

static const char *name_of(const struct zygote *z)
{
	return image_note(zygote_image(z))->name;
}

static void a_child_has_its_zygote_s_name_or_its_own(void **state)
{
	static const char too_long[] = "a-name-that-is-longer-than-what-there-is-room-for-in-"
				       "the-note-that-a-machine-carries-along-with-it";
	struct request r = kin_request();
	struct identity id = { .name = "second" };
	struct zygote *z, *next;

	(void)state;
	r.name = "first";
	z = kin_freeze(kin_boot(&r));
	assert_string_equal(name_of(z), "first");
	next = kin_freeze(kin_spawn(z, &as_it_is));
	assert_string_equal(name_of(next), "first");
	zygote_free(next);
	next = kin_freeze(kin_spawn(z, &id));
	assert_string_equal(name_of(next), "second");
	zygote_free(next);
	id.name = too_long;
	next = kin_freeze(kin_spawn(z, &id));
	assert_memory_equal(name_of(next), too_long, strlen(name_of(next)));
	zygote_free(next);
	assert_string_equal(name_of(z), "first");
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu),
		cmocka_unit_test(two_cpus),
		cmocka_unit_test(four_cpus),
		cmocka_unit_test(children_do_not_see_each_other),
		cmocka_unit_test(to_depth_eight),
		cmocka_unit_test(to_depth_eight_of_four_cpus),
		cmocka_unit_test(children_outlive_their_zygote),
		cmocka_unit_test(frozen_before_it_ran),
		cmocka_unit_test(registers_are_held_through_it),
		cmocka_unit_test(a_child_has_its_zygote_s_name_or_its_own),
	};

	return cmocka_run_group_tests_name("zygote", tests, place_setup, place_teardown);
}
