/* SPDX-License-Identifier: Apache-2.0 */
/* The public handles of zygotes and pools. */
#pragma once

#include <spore.h>

#include "base/refs.h"
#include "life/pool.h"
#include "life/zygote.h"

struct spore_zygote {
	struct refs references;
	struct zygote *zygote; /* one reference */
};

struct spore_pool {
	struct pool *pool; /* one reference */
};
