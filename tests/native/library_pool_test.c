/* SPDX-License-Identifier: Apache-2.0 */
/* Pools through spore.h: what is ready is taken, what is not is built, what has ended goes away. */
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/place.h"
#include "support/tguest.h"

enum { FOREVER = -1, SHELLS = 3, THREADS = 4, ROUNDS = 8, MANY = 300 };

/* With something in its memory that no other has. */
static spore_zygote *zygote(void)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_boot(&c);

	guest_ask(g, "nonce 0");
	return guest_to_zygote(g);
}

static spore_pool *pool(spore_zygote *z, uint32_t shells, uint32_t armed)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	struct spore_error err;
	spore_pool *p = NULL;

	o.flags = SPORE_POOL_UNJAILED;
	o.shells = shells;
	o.armed = armed;
	spore_must(spore_pool_new(z, &o, &p, &err), &err, "pool");
	return p;
}

static struct spore_pool_stats settled(spore_pool *p)
{
	struct spore_pool_stats s;
	struct spore_error err;
	int is = 0;

	spore_must(spore_pool_settle(p, FOREVER, &is, &err), &err, "settle");
	assert_int_equal(is, 1);
	spore_pool_stats(p, &s);
	assert_int_equal(s.building + s.dead, 0);
	return s;
}

static struct guest *from_pool(spore_zygote *z, spore_pool *p)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;

	o.pool = p;
	return guest_spawn(z, &o);
}

static uint64_t secret_of(spore_zygote *z, spore_pool *p)
{
	struct guest *g = from_pool(z, p);
	uint64_t answer = answer_number(guest_ask(g, "nonce 7"), "answer");

	guest_free(g);
	return answer;
}

/* Spawned, heard, gone. */
static void one_life(spore_zygote *z, spore_pool *p)
{
	struct guest *g = from_pool(z, p);

	guest_ask(g, "echo here");
	guest_free(g);
}

static int count(const char *folder)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void shells_are_taken_and_made_again(void **state)
{
	spore_zygote *z = zygote();
	spore_pool *p = pool(z, SHELLS, 0);
	struct spore_pool_stats s = settled(p);

	(void)state;
	assert_int_equal(s.shells, SHELLS);
	assert_int_equal(s.failure.code, SPORE_OK);
	for (int i = 0; i < SHELLS; i++)
		one_life(z, p);
	s = settled(p);
	assert_int_equal(s.shells, SHELLS);
	assert_int_equal(s.from_shell + s.cold, SHELLS);
	assert_true(s.from_shell >= 1);
	spore_pool_free(p);
	spore_zygote_free(z);
}

static void an_empty_pool_builds(void **state)
{
	spore_zygote *z = zygote();
	spore_pool *p = pool(z, 0, 0);
	struct spore_pool_stats s;

	(void)state;
	one_life(z, p);
	s = settled(p);
	assert_int_equal(s.cold, 1);
	assert_int_equal(s.from_shell + s.from_armed, 0);
	spore_pool_free(p);
	spore_zygote_free(z);
}

static void armed_ones_only_run(void **state)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	struct spore_error err;
	struct spore_timings t;
	spore_zygote *z = zygote(), *other = zygote();
	spore_pool *p = pool(z, 1, 2);
	struct spore_pool_stats s = settled(p);
	struct guest *g;
	json_t *j;
	char *name;

	(void)state;
	assert_int_equal(s.armed, 2);
	id.name = "claimed";
	o.identity = &id;
	o.pool = p;
	g = guest_spawn(z, &o);
	guest_ask(g, "echo its console is connected");
	spore_must(spore_machine_name(guest_machine(g), &name, &err), &err, "name");
	assert_string_equal(name, "claimed");
	spore_free(name);
	spore_must(spore_machine_timings(guest_machine(g), &t, &err), &err, "timings");
	assert_string_equal(t.phases[0].name, "handle");
	assert_string_equal(t.phases[1].name, "irqchip and clock");
	guest_freeze(g, "claimed.spore");
	j = frozen_state("claimed.spore");
	assert_string_equal(json_string_value(state_at(j, "config/name")), "claimed");
	json_decref(j);
	guest_free(g);
	s = settled(p);
	assert_int_equal(s.from_armed, 1);
	/* Of another zygote it has only shells. */
	one_life(other, p);
	s = settled(p);
	assert_int_equal(s.from_armed, 1);
	assert_int_equal(s.from_shell, 1);
	spore_must(spore_pool_arm(p, other, 1, &err), &err, "arm");
	s = settled(p);
	assert_int_equal(s.armed, 1);
	spore_zygote_free(z);
	assert_true(secret_of(other, p) == secret_of(other, NULL));
	s = settled(p);
	assert_int_equal(s.from_armed, 2);
	spore_zygote_free(other);
	spore_pool_free(p);
}

/* A child that was given a disk cannot be an armed machine. */
static void armed_ones_have_their_disks(void **state)
{
	const struct spore_disk k = { "disk", SPORE_DISK_COW, 0 };
	const struct spore_identity_disk mine = { 0, SPORE_DISK_RW, "mine" };
	struct spore_config c = guest_config();
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_identity id = SPORE_IDENTITY_INIT;
	struct spore_pool_stats s;
	spore_zygote *z;
	struct guest *g;
	spore_pool *p;

	(void)state;
	place_make_disk("disk", 1 << 20, 5, 1 << 20);
	place_make_disk("mine", 1 << 20, 6, 1 << 20);
	c.disks = &k;
	c.n_disks = 1;
	z = guest_to_zygote(guest_boot(&c));
	p = pool(z, 1, 1);
	(void)settled(p);
	id.disks = &mine;
	id.n_disks = 1;
	o.identity = &id;
	o.pool = p;
	for (int i = 0; i < 3; i++) {
		/* Written in place: free for the next as soon as this one has gone. */
		g = guest_spawn(z, &o);
		guest_ask(g, "blk 0 %s 0 8 7", i == 0 ? "write" : "check");
		guest_free(g);
	}
	s = settled(p);
	assert_int_equal(s.from_armed, 0);
	g = from_pool(z, p);
	guest_ask(g, "blk 0 check 0 8 5");
	guest_free(g);
	s = settled(p);
	assert_int_equal(s.from_armed, 1);
	spore_pool_free(p);
	spore_zygote_free(z);
}

static void another_layout_is_refused(void **state)
{
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_config c = guest_config();
	spore_zygote *z = zygote(), *two, *large;
	struct spore_error err;
	spore_machine *m = NULL;
	spore_pool *p;

	(void)state;
	c.cpus = 2;
	two = guest_to_zygote(guest_boot(&c));
	c.cpus = 1;
	c.memory = 64 << 20;
	large = guest_to_zygote(guest_boot(&c));
	/* Whether anything is ready or not. */
	for (uint32_t shells = 0; shells < 2; shells++) {
		p = pool(z, shells, 0);
		(void)settled(p);
		o.pool = p;
		assert_int_equal(spore_spawn_unjailed(two, &o, &m, &err), SPORE_ERR_TOPOLOGY);
		assert_string_equal(err.text, "it has 2 vCPUs, expected 1");
		assert_int_equal(spore_spawn_unjailed(large, &o, &m, &err), SPORE_ERR_TOPOLOGY);
		assert_string_equal(err.text, "it has 67108864 bytes of RAM, expected 134217728");
		assert_int_equal(spore_pool_arm(p, two, 1, &err), SPORE_ERR_TOPOLOGY);
		one_life(z, p);
		spore_pool_free(p);
	}
	assert_null(m);
	spore_zygote_free(z);
	spore_zygote_free(two);
	spore_zygote_free(large);
}

/* The files for layers that lie ready are as long as the disk that they are for. */
static void another_disk_is_refused(void **state)
{
	const struct spore_disk small = { "small", SPORE_DISK_COW, 0 }, large = { "large", SPORE_DISK_COW, 0 };
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_config c = guest_config();
	spore_zygote *one, *other;
	struct spore_error err;
	spore_machine *m = NULL;

	(void)state;
	place_make_disk("small", 1 << 20, 5, 1 << 20);
	place_make_disk("large", 2 << 20, 6, 2 << 20);
	c.n_disks = 1;
	c.disks = &small;
	one = guest_to_zygote(guest_boot(&c));
	c.disks = &large;
	other = guest_to_zygote(guest_boot(&c));
	o.pool = pool(one, 1, 0);
	(void)settled((spore_pool *)(uintptr_t)o.pool);
	assert_int_equal(spore_spawn_unjailed(other, &o, &m, &err), SPORE_ERR_TOPOLOGY);
	assert_string_equal(err.text, "in slot 0 it has a disk of 2097152 bytes, expected 1048576");
	assert_null(m);
	spore_pool_free((spore_pool *)(uintptr_t)o.pool);
	spore_zygote_free(one);
	spore_zygote_free(other);
}

static void sizes(void **state)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	spore_zygote *z = zygote();
	struct spore_pool_stats s;
	struct spore_error err;
	spore_pool *p = NULL;

	(void)state;
	o.flags = SPORE_POOL_UNJAILED;
	o.shells = SPORE_POOL_MOST + 1;
	assert_int_equal(spore_pool_new(z, &o, &p, &err), SPORE_ERR_USAGE);
	assert_null(p);
	p = pool(z, 4, 2);
	(void)settled(p);
	assert_int_equal(spore_pool_resize(p, SPORE_POOL_MOST + 1, &err), SPORE_ERR_USAGE);
	spore_must(spore_pool_resize(p, 5, &err), &err, "resize");
	assert_int_equal(settled(p).shells, 5);
	spore_must(spore_pool_resize(p, 1, &err), &err, "resize");
	spore_must(spore_pool_arm(p, z, 0, &err), &err, "arm");
	s = settled(p);
	assert_int_equal(s.shells, 1);
	assert_int_equal(s.armed, 0);
	spore_pool_free(p);
	spore_pool_free(NULL);
	spore_zygote_free(z);
}

/* The host's limit on descriptors is met: the pool says so, and goes on once it is lifted. */
static void a_pool_that_cannot_build(void **state)
{
	struct rlimit was, low;
	spore_zygote *z = zygote();
	spore_pool *p = pool(z, 0, 0);
	struct spore_pool_stats s;
	struct spore_error err;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = (rlim_t)count("/proc/self/fd");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	spore_must(spore_pool_resize(p, 2, &err), &err, "resize");
	assert_int_not_equal(spore_pool_settle(p, FOREVER, NULL, &err), SPORE_OK);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	spore_pool_stats(p, &s);
	assert_true(s.failures > 0);
	assert_int_not_equal(s.failure.code, SPORE_OK);
	assert_true(s.failure.text[0] != '\0');
	while (spore_pool_settle(p, FOREVER, NULL, &err) != SPORE_OK)
		;
	s = settled(p);
	assert_int_equal(s.shells, 2);
	spore_pool_free(p);
	spore_zygote_free(z);
}

struct crowd { spore_zygote *z; spore_pool *p; };

static void *live_and_die(void *arg)
{
	const struct crowd *c = arg;

	for (int i = 0; i < ROUNDS; i++)
		one_life(c->z, c->p);
	return NULL;
}

static void many_threads(void **state)
{
	spore_zygote *z = zygote();
	struct crowd c = { z, pool(z, 2, 2) };
	struct spore_pool_stats s;
	pthread_t thread[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, live_and_die, &c), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	s = settled(c.p);
	assert_int_equal(s.from_shell + s.from_armed + s.cold, THREADS * ROUNDS);
	spore_pool_free(c.p);
	spore_zygote_free(z);
}

/* More than wait for their end at once; and machines that outlive their pool. */
static void nothing_is_left(void **state)
{
	static spore_machine *m[MANY];
	struct spore_spawn_options o = SPORE_SPAWN_OPTIONS_INIT;
	int files = count("/proc/self/fd"), threads = count("/proc/self/task");
	spore_zygote *z = zygote();
	struct spore_error err;
	spore_pool *p = pool(z, 8, 2);

	(void)state;
	o.pool = p;
	for (int i = 0; i < MANY; i++) {
		o.flags = i % 2 == 0 ? SPORE_SPAWN_RESUME : 0;
		spore_must(spore_spawn_unjailed(z, &o, &m[i], &err), &err, "spawn");
	}
	for (int i = 0; i < MANY - 2; i++)
		spore_machine_free(m[i]);
	(void)settled(p);
	spore_pool_free(p);
	spore_must(spore_machine_pause(m[MANY - 2], &err), &err, "pause");
	spore_machine_free(m[MANY - 2]);
	spore_machine_free(m[MANY - 1]);
	spore_zygote_free(z);
	assert_int_equal(count("/proc/self/fd"), files);
	assert_int_equal(count("/proc/self/task"), threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shells_are_taken_and_made_again),
		cmocka_unit_test(an_empty_pool_builds),
		cmocka_unit_test(armed_ones_only_run),
		cmocka_unit_test(armed_ones_have_their_disks),
		cmocka_unit_test(another_disk_is_refused),
		cmocka_unit_test(another_layout_is_refused),
		cmocka_unit_test(sizes),
		cmocka_unit_test(a_pool_that_cannot_build),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests_name("library: pools", tests, place_setup, place_teardown);
}
