/* SPDX-License-Identifier: Apache-2.0 */
/* An opened snapshot: its descriptor and its judged image. Inside life/ only. */
#pragma once

#include "base/own.h"
#include "life/snapshot.h"
#include "plan/image.h"

struct snapshot {
	fd_t fd;
	char *path;              /* as given; owned */
	const struct image *image;
	int64_t mtime_sec;       /* of the file, before it was read */
	int64_t mtime_nsec;
	uint64_t load_ns;        /* how long opening and judging took */
};

/* As snapshot_verify, and gives each block that is present and right to somebody. */
struct ram_sink {
	err_t (*block)(void *ctx, uint64_t index, const uint8_t *bytes);
	void *ctx;
};
must_check err_t snapshot_verify_into(const struct snapshot *s, const struct ram_sink *sink,
				      void (*progress)(void *, uint64_t, uint64_t), void *ctx,
				      struct diag *d);
/* ERR_CHANGED when somebody has written to the file since it was opened. */
must_check err_t snapshot_check_unchanged(const struct snapshot *s, struct diag *d);
/* Reads back what was written and has it judged as any file is: ERR_INTERNAL when it would not be
 * taken, so that it never gets its name. Costs what opening one costs. */
must_check err_t snapshot_judge_written(int file, const char *path, struct diag *d);
