/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: mapping, patterns, hashes and the commands for them. See mem.h. */
#include "mem.h"

#include "bootinfo.h"
#include "commands.h"
#include "cpu.h"
#include "text.h"
#include "user.h"

#define GIB_SHIFT 30
#define MAPPED_GIBS 512 /* one page of directory pointers */
#define STATIC_GIBS 4   /* boot.S */
#define POOL_GIBS 64    /* page directories for CPUs without 1 GiB pages */
#define PTE_TABLE 0x27
#define PTE_LARGE 0xe7
#define CPUID_GIB_PAGES (1u << 26)

extern uint64_t page_directory_pointers[512];
extern char image_start[], image_end[];

static uint64_t directory_pool[POOL_GIBS][512] __attribute__((aligned(4096)));
static unsigned directories_used;

uint64_t pattern_word(uint64_t seed, uint64_t position)
{
	uint64_t z = (seed ^ position) + 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* What the CPL3 loops work on; arguments that do not fit in three registers. */
struct range {
	uint64_t *at;
	uint64_t words;
	uint64_t seed;
	uint64_t position;
	uint64_t step;
	uint64_t tsc; /* what range_touch or range_walk took */
};

static uint64_t range_fill(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	const struct range *g = (const struct range *)arg;

	(void)unused1, (void)unused2;
	for (uint64_t i = 0; i < g->words; i++)
		g->at[i] = pattern_word(g->seed, g->position + 8 * i);
	return 0;
}

static uint64_t range_check(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	const struct range *g = (const struct range *)arg;
	uint64_t i = 0;

	(void)unused1, (void)unused2;
	while (i < g->words && g->at[i] == pattern_word(g->seed, g->position + 8 * i))
		i++;
	return 8 * i;
}

static uint64_t range_zero(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	const struct range *g = (const struct range *)arg;

	(void)unused1, (void)unused2;
	memset(g->at, 0, 8 * g->words);
	return 0;
}

static uint64_t range_touch(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	struct range *g = (struct range *)arg;
	uint64_t touched = 0, from = cpu_rdtsc();

	(void)unused1, (void)unused2;
	for (uint64_t i = 0; i < 8 * g->words; i += g->step, touched++)
		((volatile uint8_t *)g->at)[i]++;
	g->tsc = cpu_rdtsc() - from;
	return touched;
}

static uint64_t range_walk(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	struct range *g = (struct range *)arg;
	uint64_t sum = 0, from = cpu_rdtsc();

	(void)unused1, (void)unused2;
	for (uint64_t i = 0; i < 8 * g->words; i += g->step)
		sum += ((const volatile uint8_t *)g->at)[i];
	g->tsc = cpu_rdtsc() - from;
	return sum;
}

static uint64_t bytes_hash(uint64_t hash, uint64_t start, uint64_t len)
{
	const uint64_t *words = (const uint64_t *)start;
	const uint8_t *bytes = (const uint8_t *)start;

	for (uint64_t i = 0; i < len / 8; i++)
		hash = (hash ^ words[i]) * 0x100000001b3u;
	for (uint64_t i = len & ~7ull; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

void pattern_fill(void *at, uint64_t len, uint64_t seed, uint64_t position)
{
	struct range g = { at, len / 8, seed, position, 0, 0 };

	user_call(range_fill, (uintptr_t)&g, 0, 0);
}

uint64_t pattern_check(const void *at, uint64_t len, uint64_t seed, uint64_t position)
{
	struct range g = { (uint64_t *)(uintptr_t)at, len / 8, seed, position, 0, 0 };

	return user_call(range_check, (uintptr_t)&g, 0, 0);
}

void mem_zero(void *at, uint64_t len)
{
	struct range g = { at, len / 8, 0, 0, 0, 0 };

	user_call(range_zero, (uintptr_t)&g, 0, 0);
}

uint64_t hash_more(uint64_t hash, const void *at, uint64_t len)
{
	return user_call(bytes_hash, hash, (uintptr_t)at, len);
}

static bool gib_map(uint64_t gib)
{
	uint64_t *directory;

	if (page_directory_pointers[gib] != 0)
		return true;
	if ((cpu_cpuid(0x80000001, 0).edx & CPUID_GIB_PAGES) != 0) {
		page_directory_pointers[gib] = gib << GIB_SHIFT | PTE_LARGE;
		return true;
	}
	if (directories_used == POOL_GIBS)
		return false;
	directory = directory_pool[directories_used++];
	for (uint64_t i = 0; i < 512; i++)
		directory[i] = gib << GIB_SHIFT | i << 21 | PTE_LARGE;
	page_directory_pointers[gib] = (uintptr_t)directory | PTE_TABLE;
	return true;
}

bool mem_reach(uint64_t start, uint64_t len)
{
	uint64_t end;

	if (__builtin_add_overflow(start, len, &end) || end > (uint64_t)MAPPED_GIBS << GIB_SHIFT)
		return false;
	if (len == 0)
		return true;
	for (uint64_t gib = start >> GIB_SHIFT; gib <= (end - 1) >> GIB_SHIFT; gib++) {
		if (!gib_map(gib))
			return false;
	}
	return true;
}

static bool image_overlaps(uint64_t start, uint64_t len)
{
	return start < (uintptr_t)image_end && start + len > (uintptr_t)image_start;
}

const char *range_args(struct args *a, bool writes, uint64_t *ret_start, uint64_t *ret_len)
{
	if (!args_number(a, ret_start) || !args_number(a, ret_len))
		return USAGE;
	if (*ret_start % 8 != 0)
		return "start is not a multiple of 8";
	if (!mem_reach(*ret_start, *ret_len))
		return "out of the addresses that can be mapped";
	if (!writes)
		return NULL;
	if (*ret_len % 8 != 0)
		return "length is not a multiple of 8";
	return image_overlaps(*ret_start, *ret_len) ? "overlaps the guest image" : NULL;
}

const char *cmd_mem(struct args *a, struct reply *r)
{
	(void)a;
	reply_hex(r, "image", (uintptr_t)image_start);
	reply_hex(r, "end", (uintptr_t)image_end);
	reply_dec(r, "ram", boot_info.ram_bytes);
	for (unsigned i = 0; i < boot_info.ranges; i++) {
		reply_dec(r, "type", boot_info.range[i].type);
		reply_hex(r, "at", boot_info.range[i].start);
		reply_hex(r, "len", boot_info.range[i].len);
	}
	return NULL;
}

const char *cmd_fill(struct args *a, struct reply *r)
{
	uint64_t seed, start, len;
	const char *fault;

	(void)r;
	if (!args_number(a, &seed))
		return USAGE;
	fault = range_args(a, true, &start, &len);
	if (fault == NULL)
		pattern_fill((void *)start, len, seed, start);
	return fault;
}

const char *cmd_check(struct args *a, struct reply *r)
{
	uint64_t seed, start, len, good;
	const char *fault;

	if (!args_number(a, &seed))
		return USAGE;
	fault = range_args(a, false, &start, &len);
	if (fault != NULL)
		return fault;
	good = pattern_check((void *)start, len, seed, start);
	if (good == (len & ~7ull))
		return NULL;
	reply_hex(r, "at", start + good);
	reply_hex(r, "found", mmio_read64(start + good));
	reply_hex(r, "expected", pattern_word(seed, start + good));
	return "memory differs";
}

const char *cmd_zero(struct args *a, struct reply *r)
{
	uint64_t start, len;
	const char *fault = range_args(a, true, &start, &len);

	(void)r;
	if (fault == NULL)
		mem_zero((void *)start, len);
	return fault;
}

const char *cmd_hash(struct args *a, struct reply *r)
{
	uint64_t start, len;
	const char *fault = range_args(a, false, &start, &len);

	if (fault == NULL)
		reply_hex(r, "hash", hash_more(HASH_START, (void *)start, len));
	return fault;
}

static const char *range_steps(struct args *a, struct reply *r, bool writes)
{
	struct range g = { 0 };
	uint64_t start, len;
	const char *fault = range_args(a, writes, &start, &len);

	if (fault != NULL)
		return fault;
	if (!args_number_or(a, 4096, &g.step) || g.step == 0)
		return USAGE;
	g.at = (uint64_t *)start;
	g.words = len / 8;
	if (writes)
		reply_dec(r, "touched", user_call(range_touch, (uintptr_t)&g, 0, 0));
	else
		reply_dec(r, "sum", user_call(range_walk, (uintptr_t)&g, 0, 0));
	reply_dec(r, "tsc", g.tsc);
	return NULL;
}

const char *cmd_touch(struct args *a, struct reply *r)
{
	return range_steps(a, r, true);
}

const char *cmd_walk(struct args *a, struct reply *r)
{
	return range_steps(a, r, false);
}

const char *cmd_peek(struct args *a, struct reply *r)
{
	uint64_t at;

	if (!args_number(a, &at) || at % 8 != 0 || !mem_reach(at, 8))
		return USAGE;
	reply_hex(r, "value", mmio_read64(at));
	return NULL;
}

const char *cmd_poke(struct args *a, struct reply *r)
{
	uint64_t at, v;

	(void)r;
	if (!args_number(a, &at) || !args_number(a, &v) || at % 8 != 0 || !mem_reach(at, 8))
		return USAGE;
	mmio_write64(at, v);
	return NULL;
}

const char *cmd_vmgenid(struct args *a, struct reply *r)
{
	uint64_t at;

	if (!args_number(a, &at) || !mem_reach(at, 16))
		return USAGE;
	reply_bytes(r, "id", (const void *)at, 16);
	return NULL;
}
