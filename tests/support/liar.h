/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that its guest has taken over: the test program itself, which is started as one and then does
 * as it is told. */
#pragma once

#include "life/worker_host.h"
#include "life/worker_link.h"

/* In the worker. `to` is the supervisor. When it returns, the worker says nothing more and stays. */
typedef void liar_job(int to, uint8_t what);
/* Was this program started as a worker? Then it does that, and *ret_status is what to exit with. */
bool liar_serve(int argc, char **argv, liar_job *job, int *ret_status);
void liar_tell(int to, const struct worker_say *s, const int *fds, uint32_t n);

/* In the test: workers that do `what`. One kit at a time. */
struct worker_kit *liar_kit(const struct zygote *z, uint8_t what, uint32_t patience_ms);
void liar_kit_free(struct worker_kit *k);
struct worker *liar_start(struct worker_kit *k);
