/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a snapshot does not make the machine that it is taken of grow: neither the memory behind
 * its RAM nor the process. What the kernel accounts is asked before and after. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

#define MI (1ull << 20)

struct use {
	uint64_t rss, anonymous, dirty; /* of the mappings of guest RAM, from smaps, in KiB */
	uint64_t memfd;                 /* bytes that memfds take */
	uint64_t heap;                  /* bytes in use */
	unsigned mappings;
};

static uint64_t memfd_bytes(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	uint64_t sum = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char target[128] = "";
		struct stat st;

		if (readlinkat(dirfd(d), e->d_name, target, sizeof target - 1) < 0 ||
		    strstr(target, "memfd:") == NULL)
			continue;
		assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
		sum += (uint64_t)st.st_blocks * 512;
	}
	(void)closedir(d);
	return sum;
}

/* `word`: what the name of the mapping holds. */
static struct use use_now(const char *word)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	struct use u = { .memfd = memfd_bytes(), .heap = mallinfo2().uordblks };
	bool ours = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned long long kib;

		if (strchr(line, '-') != NULL && strchr(line, ' ') > strchr(line, '-') &&
		    strtoull(line, NULL, 16) != 0) {
			ours = strstr(line, word) != NULL;
			u.mappings += ours;
		} else if (ours && sscanf(line, "Rss: %llu", &kib) == 1) {
			u.rss += kib;
		} else if (ours && sscanf(line, "Anonymous: %llu", &kib) == 1) {
			u.anonymous += kib;
		} else if (ours && sscanf(line, "Private_Dirty: %llu", &kib) == 1) {
			u.dirty += kib;
		}
	}
	(void)fclose(f);
	return u;
}

static void same_use(struct use before, struct use after)
{
	assert_int_equal(after.mappings, before.mappings);
	assert_int_equal(after.memfd, before.memfd);
	assert_int_equal(after.anonymous, before.anonymous);
	assert_int_equal(after.dirty, before.dirty);
	assert_int_equal(after.rss, before.rss);
	/* buffers of the C library's own */
	assert_in_range(after.heap, 0, before.heap + MI / 4);
}

static void a_machine_that_was_booted(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g;
	struct use before;

	(void)state;
	c.memory = 1024 * MI;
	g = guest_boot(&c);
	guest_ask(g, "fill 1 64M 8M");
	guest_ask(g, "touch 256M 16M 64K"); /* a page in each block: the rest of it are holes */
	guest_pause(g);
	guest_snapshot(g, "booted.spore");
	before = use_now("memfd:spore-ram");
	assert_int_equal(before.mappings, 1);
	assert_in_range(before.memfd, 9 * MI, 16 * MI);
	for (int i = 0; i < 5; i++)
		guest_snapshot(g, "booted.spore");
	same_use(before, use_now("memfd:spore-ram"));
	guest_free(g);
}

/* The first one ever: no page may be there after it that was not before. */
static void the_first_snapshot(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g;
	struct use before;

	(void)state;
	c.memory = 1024 * MI;
	g = guest_boot(&c);
	guest_ask(g, "touch 256M 16M 64K");
	guest_pause(g);
	before = use_now("memfd:spore-ram");
	guest_snapshot(g, "first.spore");
	same_use(before, use_now("memfd:spore-ram"));
	guest_free(g);
}

static void a_machine_that_was_restored(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g;
	struct use before;
	int64_t blocks;

	(void)state;
	c.memory = 1024 * MI;
	g = guest_boot(&c);
	guest_ask(g, "fill 1 64M 8M");
	guest_pause(g);
	guest_snapshot(g, "below.spore");
	guest_free(g);
	g = guest_restore("below.spore", NULL);
	guest_ask(g, "touch 64M 2M 16K");
	guest_ask(g, "touch 256M 16M 64K");
	guest_ask(g, "walk 128M 4M"); /* read, not written */
	guest_pause(g);
	guest_snapshot(g, "above.spore");
	before = use_now("below.spore");
	blocks = place_blocks("below.spore");
	assert_int_equal(before.mappings, 1);
	assert_in_range(before.anonymous, 1, 4096);
	for (int i = 0; i < 5; i++)
		guest_snapshot(g, "above.spore");
	same_use(before, use_now("below.spore"));
	assert_int_equal(place_blocks("below.spore"), blocks);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_that_was_booted),
		cmocka_unit_test(the_first_snapshot),
		cmocka_unit_test(a_machine_that_was_restored),
	};

	return cmocka_run_group_tests_name("growth", tests, place_setup_disk, place_teardown);
}
