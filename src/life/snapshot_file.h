/* SPDX-License-Identifier: Apache-2.0 */
/* An opened snapshot: its descriptor and its judged image. Inside life/ only. */
#pragma once

#include "base/own.h"
#include "life/snapshot.h"
#include "plan/image.h"

/* Counted: a restored machine keeps it until it first runs. */
struct snapshot {
	_Atomic uint32_t references;
	fd_t fd;
	char *path;              /* as given; owned */
	const struct image *image;
	int64_t mtime_sec;       /* of the file, before it was read */
	int64_t mtime_nsec;
	uint64_t load_ns;        /* how long opening and judging took */
};

struct snapshot *snapshot_again(struct snapshot *s); /* one more reference */

/* Reads back what was written and has it judged as any file is: ERR_INTERNAL when it would not be
 * taken, so that it never gets its name. Costs what opening one costs. */
must_check err_t snapshot_judge_written(int file, const char *path, struct diag *d);
