/* SPDX-License-Identifier: Apache-2.0 */
/* How long a supervisor waits for a worker's answers. A worker may be one that its guest has taken over:
 * what it can hold up is bounded, in one answer and in all of them.
 *
 * What takes as long as memory takes to copy is waited for long, and not in the loop that serves all
 * machines (docs/design/0022-long-work-beside-the-loop.md). What is asked there takes microseconds, so
 * whatever it takes beyond a moment adds up, against an allowance that comes back with time. Who has used it
 * up has that moment for each answer. */
#pragma once

#include <stdbool.h>

#include "wire/worker_msg.h"

struct patience {
	uint32_t long_ms; /* with what takes long; everything else is a part of that */
	uint64_t late_ms; /* of the allowance, used up */
	uint64_t at_ms;   /* and what came back of it until then */
};

struct patience patience_new(uint32_t long_ms); /* 0: a minute, and an allowance of half of it */
/* For the answer to such a question that is asked now. The clock is any that goes on. */
must_check uint32_t patience_for(struct patience *p, enum worker_ask_kind asked, uint64_t now_ms);
/* It took that long to come, or has not come. */
void patience_spend(struct patience *p, enum worker_ask_kind asked, uint64_t waited_ms);
/* There is nothing left of the allowance. */
must_check bool patience_is_spent(const struct patience *p);
