/* SPDX-License-Identifier: Apache-2.0 */
/* The filters as tools/filtergen.c writes them: cBPF (Documentation/userspace-api/
 * seccomp_filter.rst). Included by what it writes. */
#pragma once

#include <linux/filter.h>

#include "base/check.h"

enum { FILTER_MAX = 512, FILTER_SELF_MAX = 8 };

struct filter_code {
	const struct sock_filter *code;
	uint16_t n;
	/* Instructions that compare with this process's id, which the build could not know. */
	uint16_t n_self;
	uint16_t self[FILTER_SELF_MAX];
};

extern const struct filter_code filter_codes[]; /* by enum jail_thread */
