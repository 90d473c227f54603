/* SPDX-License-Identifier: Apache-2.0 */
/* Single pages written here and there, at places that README.md lets a test compute. */
#include "bootinfo.h"
#include "commands.h"
#include "cpu.h"
#include "mem.h"
#include "misc.h"
#include "user.h"

#define PAGE 4096u
#define START (32ull << 20) /* where no range is given */
#define LEN (64ull << 20)
#define STORM_PAGES 16

struct scatter {
	uint64_t start, pages, count, seed;
};

/* One page out of each of `count` equal parts, so that no two are the same. */
static uint64_t scatter_at(const struct scatter *s, uint64_t i)
{
	uint64_t part = s->pages / s->count;

	return s->start + PAGE * (i * part + pattern_word(s->seed, i) % part);
}

static uint64_t pages_write(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	const struct scatter *s = (const struct scatter *)arg;

	(void)unused1, (void)unused2;
	for (uint64_t i = 0; i < s->count; i++) {
		uint64_t at = scatter_at(s, i);

		*(volatile uint64_t *)at = pattern_word(s->seed, at);
	}
	return 0;
}

static uint64_t pages_right(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	const struct scatter *s = (const struct scatter *)arg;
	uint64_t i = 0;

	(void)unused1, (void)unused2;
	while (i < s->count && *(const volatile uint64_t *)scatter_at(s, i) ==
				       pattern_word(s->seed, scatter_at(s, i)))
		i++;
	return i;
}

/* The rest of the line: nothing, or START LEN. */
static const char *range_take(struct args *a, bool writes, struct scatter *s)
{
	uint64_t len = LEN;

	s->start = START;
	if (!args_end(a)) {
		const char *fault = range_args(a, writes, &s->start, &len);

		if (fault != NULL)
			return fault;
	} else if (boot_info.ram_bytes < START + LEN) {
		return "not enough RAM for the usual range";
	}
	s->pages = len / PAGE;
	return s->count == 0 || s->count > s->pages ? "more pages than the range has" : NULL;
}

static const char *scatter_check(struct reply *r, struct scatter *s)
{
	uint64_t right = user_call(pages_right, (uintptr_t)s, 0, 0);
	uint64_t at;

	if (right == s->count)
		return NULL;
	at = scatter_at(s, right);
	reply_hex(r, "at", at);
	reply_hex(r, "found", mmio_read64(at));
	reply_hex(r, "expected", pattern_word(s->seed, at));
	return "memory differs";
}

const char *cmd_scatter(struct args *a, struct reply *r)
{
	const char *first = args_word(a), *fault;
	bool checks = first != NULL && text_equal(first, "check");
	struct scatter s;

	if (checks)
		first = args_word(a);
	if (first == NULL || !text_number(first, &s.count) || !args_number(a, &s.seed))
		return USAGE;
	fault = range_take(a, !checks, &s);
	if (fault != NULL)
		return fault;
	if (checks)
		return scatter_check(r, &s);
	user_call(pages_write, (uintptr_t)&s, 0, 0);
	return NULL;
}

/* Which RAM this is, whose turn it is, and which copy: all three are in the answer, and then the
 * answer is in the pages. */
const char *cmd_storm(struct args *a, struct reply *r)
{
	struct scatter s = { .count = STORM_PAGES };
	uint64_t nonce, id;
	const char *fault;

	if (!args_number(a, &nonce) || !args_number(a, &id) || id % 8 != 0 || !mem_reach(id, 16))
		return USAGE;
	s.seed = pattern_word(secret_mix(nonce), mmio_read64(id));
	s.seed = pattern_word(s.seed, mmio_read64(id + 8));
	fault = range_take(a, true, &s);
	if (fault != NULL)
		return fault;
	user_call(pages_write, (uintptr_t)&s, 0, 0);
	reply_hex(r, "answer", s.seed);
	return NULL;
}
