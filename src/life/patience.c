/* SPDX-License-Identifier: Apache-2.0 */
#include "life/patience.h"

enum { LONG_MS = 60000 };
/* Parts of it. Hosts that are emulated are a hundred times slower than others. */
enum {
	ALLOWANCE = 2, /* half a minute, for all that is late */
	PROMPT = 12,   /* five seconds, for one answer */
	MOMENT = 240,  /* a quarter of a second: that is not late */
};
enum { COMES_BACK = 100 }; /* a hundredth of the time that passes */

struct patience patience_new(uint32_t long_ms)
{
	return (struct patience){ .long_ms = long_ms != 0 ? long_ms : LONG_MS };
}

/* To pause, a machine's disks complete what they have begun: that may take the whole allowance. A machine's
 * state is asked for by who waits for it in a way of its own. */
static uint32_t most(const struct patience *p, enum worker_ask_kind asked)
{
	switch (asked) {
	case WORKER_SHELL:
	case WORKER_PRIME:
	case WORKER_SPAWN:
	case WORKER_STOP:
	case WORKER_FREEZE:
	case WORKER_BRANCH:
	case WORKER_STATE:
		return p->long_ms;
	case WORKER_PAUSE:
		return p->long_ms / ALLOWANCE;
	case WORKER_CLAIM:
	case WORKER_RESUME:
	case WORKER_INPUT:
		return p->long_ms / PROMPT;
	}
	unreachable_by_type();
}

static bool takes_long(const struct patience *p, enum worker_ask_kind asked)
{
	return most(p, asked) == p->long_ms;
}

static void come_back(struct patience *p, uint64_t now_ms)
{
	uint64_t back = (now_ms - p->at_ms) / COMES_BACK;

	p->at_ms += back * COMES_BACK;
	p->late_ms -= back < p->late_ms ? back : p->late_ms;
}

uint32_t patience_for(struct patience *p, enum worker_ask_kind asked, uint64_t now_ms)
{
	uint32_t left;

	come_back(p, now_ms);
	if (takes_long(p, asked))
		return p->long_ms;
	left = p->long_ms / MOMENT;
	if (!patience_is_spent(p))
		left += p->long_ms / ALLOWANCE - (uint32_t)p->late_ms;
	return left < most(p, asked) ? left : most(p, asked);
}

void patience_spend(struct patience *p, enum worker_ask_kind asked, uint64_t waited_ms)
{
	if (!takes_long(p, asked) && waited_ms > p->long_ms / MOMENT)
		p->late_ms += waited_ms - p->long_ms / MOMENT;
}

bool patience_is_spent(const struct patience *p)
{
	return p->late_ms >= p->long_ms / ALLOWANCE;
}
