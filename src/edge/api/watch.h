/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's own descriptors in a loop of ours. */
#pragma once

#include <event2/event.h>
#include <spore.h>

#include "base/diag.h"

enum { WATCHES_MAX = 8 };

/* Runs the loop until somebody breaks it. */
must_check err_t watches_run(struct event_base *base, const struct spore_watch *watches, size_t n,
			     struct diag *d);
