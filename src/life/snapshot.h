/* SPDX-License-Identifier: Apache-2.0 */
/* vm_paused -> file, and file -> image. */
#pragma once

#include "life/vm.h"

struct snapshot_options {
	const char *path;   /* replaced atomically: temporary name, fsync, rename */
	bool disks;         /* store a reflink or copy of each writable disk or layer beside it */
	/* Called now and then with bytes done of all; NULL: no progress. */
	void (*progress)(void *ctx, uint64_t done, uint64_t of);
	void *ctx;
	struct phase_times *ret_times; /* NULL: not wanted */
	/* A sentence that the caller should pass on (a writable disk left in place), else "". */
	struct diag *ret_warning;
};

struct restore_disk { uint32_t index; const char *path; };
struct restore_options {
	const char *name; /* NULL: the snapshot's */
	size_t n_disks;
	const struct restore_disk *disks; /* disk INDEX (among the disks) is in this file instead */
	bool verify;      /* check RAM's blocks first, */
	void (*progress)(void *ctx, uint64_t done, uint64_t of); /* reporting here, unless NULL */
	void *ctx;
};

struct image;
const struct image *snapshot_image(const struct snapshot *s);
/* Reads every byte of RAM and compares it with the block checksums; a set bit without data, or
 * data without a set bit, is refused too. Progress as above. */
must_check err_t snapshot_verify(const struct snapshot *s, void (*progress)(void *, uint64_t, uint64_t),
				 void *ctx, struct diag *d);
/* Could this host restore it? Compares what a restore compares (inventory, CPUID, disks) and builds
 * no machine. Each thing that is missing is named. */
must_check err_t snapshot_check_host(const struct snapshot *s, struct diag *d);
void snapshot_free(struct snapshot *s);
