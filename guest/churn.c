/* SPDX-License-Identifier: Apache-2.0 */
/* Memory written without a pause, page after page, round and round, and compared at the end with
 * what must be there: a page that went back, or a write that was lost, shows. */
#include "commands.h"
#include "cpu.h"
#include "mem.h"
#include "serial.h"
#include "timer.h"
#include "user.h"

#define PAGE 4096u
#define PAGES_PER_MIB 256
#define MIB_PER_S_MAX 1000000

struct churn {
	uint64_t start, pages;
	uint64_t step;         /* TSC cycles for a page */
	uint64_t page, rounds; /* the next one to write; times that all were */
	uint64_t last, gap;    /* TSC: the latest look, the longest time between two */
};

static uint64_t churn_look(struct churn *c)
{
	uint64_t now = cpu_rdtsc();

	if (now - c->last > c->gap)
		c->gap = now - c->last;
	c->last = now;
	return now;
}

/* The pattern, seeds counting up from 1 with the rounds. */
static void churn_write(struct churn *c)
{
	uint64_t at = c->start + PAGE * c->page;

	for (uint64_t i = 0; i < PAGE; i += 8)
		*(volatile uint64_t *)(at + i) = pattern_word(c->rounds + 1, at + i);
	if (++c->page == c->pages) {
		c->page = 0;
		c->rounds++;
	}
}

/* Time that was lost is not made up for. */
static uint64_t churn_loop(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	struct churn *c = (struct churn *)arg;
	uint64_t due = c->last = cpu_rdtsc();

	(void)unused1, (void)unused2;
	while (serial_pending == 0) {
		uint64_t now;

		churn_write(c);
		now = churn_look(c);
		due = due + c->step < now ? now : due + c->step;
		while (now < due && serial_pending == 0)
			now = churn_look(c);
	}
	return 0;
}

/* [from, to) of the pages against a seed; seed 0 is what nobody has written yet. */
static const char *part_check(const struct churn *c, uint64_t from, uint64_t to, uint64_t seed,
			      struct reply *r)
{
	uint64_t at = c->start + PAGE * from, len = PAGE * (to - from), good;

	if (seed == 0)
		return NULL;
	good = pattern_check((const void *)at, len, seed, at);
	if (good == len)
		return NULL;
	reply_hex(r, "at", at + good);
	reply_hex(r, "found", mmio_read64(at + good));
	reply_hex(r, "expected", pattern_word(seed, at + good));
	return "memory differs";
}

const char *cmd_churn(struct args *a, struct reply *r)
{
	struct churn c = { 0 };
	uint64_t mib_per_s, len;
	const char *fault;

	if (!args_number(a, &mib_per_s) || mib_per_s == 0 || mib_per_s > MIB_PER_S_MAX)
		return USAGE;
	fault = range_args(a, true, &c.start, &len);
	if (fault != NULL)
		return fault;
	c.pages = len / PAGE;
	if (c.pages == 0 || serial_polled())
		return "needs a page and the serial interrupt";
	c.step = timer_tsc_per_ms() * 1000 / (mib_per_s * PAGES_PER_MIB);
	user_call(churn_loop, (uintptr_t)&c, 0, 0);
	serial_spend();
	reply_dec(r, "pages", c.rounds * c.pages + c.page);
	reply_dec(r, "gap", c.gap);
	fault = part_check(&c, 0, c.page, c.rounds + 1, r);
	return fault != NULL ? fault : part_check(&c, c.page, c.pages, c.rounds, r);
}
