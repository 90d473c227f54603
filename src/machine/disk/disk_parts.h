/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk is made of: shared by the files of this folder and by nobody else. */
#pragma once

#include "base/own.h"
#include "machine/disk/disk.h"
#include "machine/disk/file_io.h"

enum { LAYER_CLUSTER = 65536, LAYER_CLUSTER_MAX = 2 << 20, LAYER_MAP_MAX = 8 << 20 };

/* A sparse file as long as the disk, and which clusters of it count. A cluster that counts and is a
 * hole reads as zeroes. Bits are set and never cleared. */
struct layer {
	fd_t file;        /* FD_NONE: there is no such layer */
	uint32_t cluster; /* power of two */
	uint32_t map_len;
	uint8_t *map;     /* bit i of byte i / 8 */
	bool used;        /* some bit is set */
};

struct disk {
	enum disk_mode mode;
	uint64_t capacity;
	fd_t base;
	bool base_stored;             /* belongs to a snapshot that may be deleted */
	char path[DEVICE_PATH_MAX];   /* of the base, absolute */
	struct layer stored, private; /* DISK_COW only; the private one is always there */
	uint8_t *scratch;             /* one cluster */
};

/* disk_file.c: opening, locking, telling files apart */

/* Opens, locks, judges: `dir` and `beneath` for stored copies, AT_FDCWD and false for others.
 * `path` is for the sentence too. */
struct file_want {
	int dir;
	bool beneath;
	const char *path;
	bool writable;
};
must_check err_t disk_file_open(const struct file_want *w, struct diag *d, fd_t *ret_file,
				uint64_t *ret_size);
/* Path, device, inode, size, modification time. */
must_check err_t disk_file_identify(int fd, const char *path, uint64_t size, struct diag *d,
				    struct disk_file *ret);
/* ERR_CHANGED naming what differs between a file and what it was. */
must_check err_t disk_file_compare(const struct disk_file *was, const struct disk_file *is,
				   struct diag *d);

/* disk_layer.c */

/* 0 when a disk of that size has none that keeps the map small enough. */
uint32_t layer_cluster_for(uint64_t capacity);
uint32_t layer_map_len(uint64_t capacity, uint32_t cluster);
/* An empty layer in a file without a name. */
must_check err_t layer_new(const char *dir, uint64_t capacity, uint32_t cluster, struct diag *d,
			   struct layer *ret);
void layer_drop(struct layer *l);
must_check bool layer_has(const struct layer *l, uint64_t cluster);

/* Does a layer hold anything that the base does not? */
must_check static inline bool disk_is_layered(const struct disk *k)
{
	return k->stored.used || k->private.used;
}

/* The file that the bytes at `at` are read from, and how far from there that stays so (at most to
 * `end`). */
int disk_source(const struct disk *k, uint64_t at, uint64_t end, uint64_t *ret_run_end);

must_check err_t layer_write(struct disk *k, uint64_t at, struct io *io, uint64_t len);
must_check err_t layer_zero(struct disk *k, uint64_t at, uint64_t len);
must_check err_t layer_discard(struct disk *k, uint64_t at, uint64_t len);
