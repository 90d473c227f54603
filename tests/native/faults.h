/* SPDX-License-Identifier: Apache-2.0 */
/* What the preloaded library of faults.c offers: found by dlsym, not linked. */
#pragma once

enum fault_action { FAULT_FAIL, FAULT_KILL };

struct fault_report {
	int calls;          /* counted since it was armed */
	const char *struck; /* the name of the call that was chosen; "": it was not reached */
};

void fault_arm(int n, enum fault_action action);
struct fault_report fault_disarm(void);
