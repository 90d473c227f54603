/* SPDX-License-Identifier: Apache-2.0 */
/* What a zygote is made of. Inside life/ only. */
#pragma once

#include <pthread.h>

#include "base/refs.h"
#include "life/devices.h"
#include "life/parcel.h"
#include "life/zygote.h"
#include "machine/ram/ram_base.h"

struct zygote {
	struct refs references;
	struct zygote_id id, parent;
	const struct image *image;
	uint8_t *front;  /* the bytes that the image was judged by; owned */
	size_t front_len;
	bytes_t total;   /* of the file that they would begin */
	struct ram_base *ram;
	struct disk_base *disks[SHAPE_DEVICES_MAX]; /* by slot */
	struct layer_files *layers; /* of children in this process: files that are used again */

	pthread_mutex_t pack_lock;
	fd_t unpacked;              /* the file to pack it into; FD_NONE: one is made */
	fd_t packed;                /* FD_NONE: nobody has asked yet */
	struct zygote_files files;  /* once packed */
	struct zygote_files lent;   /* once lent: the same, but for disks owned ones */
	fd_t maker;                 /* the process that froze it and could write its disks; or FD_NONE */
};

/* The zygote that a child of that identity is spawned from: the same, or one with other files for some
 * disks. A reference of the caller's. */
must_check err_t zygote_for(struct zygote *z, const struct identity *id, struct diag *d,
			    struct zygote **ret);
/* What a machine that stands still is, but for its RAM and disks. */
struct vm;
must_check err_t zygote_of_state(struct vm *vm, struct quiesced q, struct diag *d,
				 struct zygote **ret);
/* Judges the bytes, which are taken, and has no RAM and disks yet. */
must_check err_t zygote_of_front(uint8_t **front, size_t len, bytes_t total, struct diag *d,
				 struct zygote **ret);

/* What was lent, once nobody needs it. */
void zygote_lent_drop(struct zygote *z);

/* New files for a child's private layers, in the order of its copy-on-write disks. What a failure
 * leaves is dropped all the same. */
struct zygote_layers {
	uint32_t n;
	fd_t fd[2 * SHAPE_DEVICES_MAX]; /* owned; new files may be made twice */
	int raw[2 * SHAPE_DEVICES_MAX];
};
must_check err_t zygote_layers_new(const struct zygote *z, bool all, struct diag *d,
				   struct zygote_layers *ret);
void zygote_layers_drop(struct zygote_layers *l);
