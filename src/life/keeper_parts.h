/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of a keeper agree on. They may be of two builds: KEEPER_VERSION is the first word of
 * a conversation. */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "life/keeper.h"
#include "life/worker_link.h"

enum { KEEPER_LISTENING = 3 }; /* the descriptor that it is run with */
enum { KEEPER_VERSION = 1 };
#define KEEPER_WORD "keep" /* what the program is told that it is */

/* From it, when one has connected; that many entries follow, in the form of KEEPER_PUT. Afterwards to
 * each KEEPER_PUT: errno in `n`, or 0. */
struct keeper_say { uint32_t version, n; int32_t pid; };

enum keeper_verb {
	KEEPER_PUT = 1, /* with a text, and files beside it */
	KEEPER_DROP,
	KEEPER_DISMISS,
};
struct keeper_ask {
	uint32_t verb; /* enum keeper_verb */
	char key[KEEPER_KEY_MAX + 1];
	char text[KEEPER_TEXT_MAX + 1]; /* as far as the packet goes, with its end */
};
static_assert(sizeof(struct keeper_ask) <= WORKER_MSG_MAX, "it goes through life/worker_link.h");
