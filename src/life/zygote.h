/* SPDX-License-Identifier: Apache-2.0 */
/* A frozen machine in memory: its state as a judged image, its RAM and disks as what children run on
 * top of. Immutable and counted; any thread. */
#pragma once

#include "base/own.h"
#include "flow.h"
#include "plan/image.h"

struct zygote_id { uint8_t bytes[SNAP_ID_LEN]; };

/* What passes for a machine while it is frozen. */
enum clock_policy {
	CLOCK_FROZEN,  /* nothing: its clocks go on from where they stood */
	CLOCK_STEPPED, /* as much as for the host: they jump forward */
};

struct zygote *zygote_again(struct zygote *z);
void zygote_free(struct zygote *z); /* one reference; accepts NULL */

/* vm_freeze in its parts, for a machine whose process ends with it, and whose zygote is settled by
 * another: makes it, the machine being good for nothing afterwards (`layer` as for ram_freeze, of the
 * size of its RAM); then copies (into `files`,
 * one for each disk that is not read-only, by slot order; NULL: they are made) what would make
 * chains of layers long, before anybody else knows the zygote. */
must_check err_t zygote_take(vm_paused *from, fd_t *layer, struct diag *d,
			     struct zygote **ret_zygote);
must_check err_t zygote_settle(struct zygote *z, fd_t *files, struct diag *d);

struct zygote_id zygote_id(const struct zygote *z);
/* What the machine that was frozen had been spawned from; all zero: it was booted or restored. */
struct zygote_id zygote_parent(const struct zygote *z);
const struct image *zygote_image(const struct zygote *z);

/* What must differ in a child, beside its generation id, which always does. */
struct identity_disk {
	uint32_t index; /* among the disks */
	enum disk_mode mode;
	const char *path;
};
struct identity {
	const char *name; /* NULL: the zygote's */
	size_t n_disks;
	const struct identity_disk *disks; /* these files instead of what the zygote has */
	enum clock_policy clock;
};
