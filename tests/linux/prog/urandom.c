/* SPDX-License-Identifier: Apache-2.0 */
/*
 * urandom.c: reads /dev/urandom in a loop across the freeze and keeps every block with its time,
 * so that two restores of one file can be compared block by block: the first block whose time
 * differs was read after the freeze; the first whose bytes differ, after the new seed.
 *
 * Told to go on, it reads BLOCKS_LEAST more, so that a machine that had no time for it since the
 * freeze has some of its own, and says how many blocks it has.  Then "show INDEX" prints one block's
 * CLOCK_MONOTONIC_RAW in ns and one digest each of all times and of all bytes up to and with this
 * block, so that a few questions find a difference; "stop" ends it.
 */
#include "prop.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* About 26 s at one block in 50 us. */
enum { BLOCKS_MAX = 1 << 19, BLOCKS_LEAST = 100, INTERVAL_NS = 50000 };

static struct block {
	uint64_t time_ns, bytes[2];
} *blocks;
static uint64_t count;
static bool stop;

static void *read_always(void *arg)
{
	(void)arg;
	int fd = open("/dev/urandom", O_RDONLY);
	PROP_NEED(fd >= 0 && nice(19) != -1);
	uint64_t next = 0;
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST) && count < BLOCKS_MAX) {
		struct block *b = &blocks[count];
		while ((b->time_ns = prop_now_ns(CLOCK_MONOTONIC_RAW)) < next)
			;
		next = b->time_ns + INTERVAL_NS;
		PROP_NEED(read(fd, b->bytes, sizeof b->bytes) == sizeof b->bytes);
		__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void show(uint64_t index)
{
	uint64_t times = 0, bytes = 0;
	for (uint64_t i = 0; i <= index; i++) {
		times = prop_pattern(times ^ blocks[i].time_ns);
		bytes = prop_pattern(prop_pattern(bytes ^ blocks[i].bytes[0]) ^ blocks[i].bytes[1]);
	}
	prop_say("block %lu %lu %08x %08x", index, blocks[index].time_ns, (uint32_t)times,
		 (uint32_t)bytes);
}

int urandom_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	pthread_t thread;
	char order[PROP_ORDER_MAX];
	uint64_t index;
	blocks = mmap(NULL, sizeof *blocks * BLOCKS_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	PROP_NEED(blocks != MAP_FAILED);
	PROP_NEED(pthread_create(&thread, NULL, read_always, NULL) == 0);
	while (__atomic_load_n(&count, __ATOMIC_SEQ_CST) < 100)
		prop_pause_ms(1);
	prop_say("set");

	if (prop_told_to_spoil())
		prop_fail("there is nothing to spoil: two machines are compared");
	uint64_t enough = __atomic_load_n(&count, __ATOMIC_SEQ_CST) + BLOCKS_LEAST;
	while (__atomic_load_n(&count, __ATOMIC_SEQ_CST) < enough && enough < BLOCKS_MAX)
		prop_pause_ms(1);
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	PROP_NEED(pthread_join(thread, NULL) == 0);
	if (count == BLOCKS_MAX)
		prop_fail("no room left before the order to go on");
	prop_say("read %lu", count);
	for (prop_order(order); strcmp(order, "stop") != 0; prop_order(order)) {
		if (sscanf(order, "show %lu", &index) != 1 || index >= count)
			prop_fail("order \"%s\" is not understood", order);
		show(index);
	}
	prop_ok("%lu blocks", count);
}
