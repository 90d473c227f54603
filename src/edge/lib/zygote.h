/* SPDX-License-Identifier: Apache-2.0 */
/* The public handles of zygotes and pools. */
#pragma once

#include <pthread.h>
#include <spore.h>

#include "base/diag.h"
#include "base/refs.h"
#include "life/pool.h"
#include "life/zygote.h"

struct spore_zygote {
	struct refs references;
	struct zygote *zygote; /* one reference */
	pthread_mutex_t lock;
	struct worker_kit *kit; /* of children without pool or jail of their own; NULL: none yet */
};

/* A handle for one, which is taken on success. */
must_check err_t zygote_handle(struct zygote *z, struct diag *d, spore_zygote **ret_zygote);

struct spore_pool {
	struct pool *pool; /* one reference */
};
