/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of a nursery agree on: they are of one build, and trust each other. */
#pragma once

#include <stdint.h>

/* Descriptors that it is run with; those above the first two may be missing. */
enum { NURSERY_SOCKET = 3, NURSERY_LAYOUT, NURSERY_NETNS, NURSERY_CGROUP, NURSERY_FDS_END };

/* To it, with the worker's socket. */
struct nursery_ask { uint32_t uid; };

/* From it: once when it is ready; then twice for each that it is asked for, when it is born and when
 * it was raised. */
struct nursery_say {
	int32_t pid; /* of one that was born */
	uint32_t code;
	int32_t sys;
	char text[480]; /* where it failed: a diag's */
};
