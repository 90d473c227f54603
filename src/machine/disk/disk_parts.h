/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk is made of: shared by the files of this folder and by nobody else. */
#pragma once

#include "base/own.h"
#include "base/refs.h"
#include "machine/disk/disk.h"
#include "machine/disk/file_io.h"
#include "machine/disk/layer_files.h"

enum { LAYER_CLUSTER = 65536, LAYER_CLUSTER_MAX = 2 << 20, LAYER_MAP_MAX = 8 << 20 };
enum { DISK_LAYERS_MAX = 8 };

/* A sparse file as long as the disk, and which clusters of it count. A cluster that counts and is a
 * hole reads as zeroes. Bits are set and never cleared. Counted: frozen, it is shared by all disks
 * above it, and nothing of it changes any more. */
struct layer {
	struct refs references;
	fd_t file;
	struct layer_files *home; /* private: where the file goes in the end, a reference; or NULL */
	uint64_t capacity; /* of the disk */
	uint32_t cluster; /* power of two; the same in all layers of a disk */
	uint32_t map_len;
	uint8_t *map;     /* bit i of byte i / 8 */
	bool used;        /* some bit is set */
};

struct disk {
	enum disk_mode mode;
	uint64_t capacity;
	fd_t base;
	bool base_stored;             /* belongs to a snapshot that may be deleted */
	bool lent;                    /* by a process that holds the lock of the base */
	char path[DEVICE_PATH_MAX];   /* of the base, absolute */
	/* DISK_COW only, the lowest first: layers that are never written again. One more than a
	 * child is given, until disk_base_settle. */
	struct layer *under[DISK_LAYERS_MAX + 1];
	uint32_t n_under;
	struct layer *private;        /* DISK_COW: what is written goes here */
};

/* disk.c */
struct disk *disk_alloc(enum disk_mode mode);
/* Opens the base and keeps its full name, which a snapshot will refer to. */
struct file_want;
must_check err_t disk_base_file_open(struct disk *k, const struct file_want *w, struct diag *d);
/* disk_base.c: what is shared, as a disk; and one without a private layer, taken, to be shared */
const struct disk *disk_base_as(const struct disk_base *b);
must_check err_t disk_base_of(struct disk **io, struct disk_base **ret_base);
/* Before anybody shares it. */
struct disk *disk_base_fresh(struct disk_base *b);
/* The private layer, in clusters as those below it. `file` is taken. */
must_check err_t disk_private_make(struct disk *k, fd_t *file, struct diag *d);

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
/* The same file opened once more, without a lock. */
must_check err_t disk_file_again(int fd, bool writable, struct diag *d, fd_t *ret);
/* Others may read it from now on. Releasing can fail for want of memory: then they are kept out, as
 * before. */
void disk_file_share(int fd);
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
/* A layer in that file, which is as long as the disk and is taken; its map is empty at first. */
must_check err_t layer_new(fd_t *file, uint64_t capacity, uint32_t cluster, struct layer **ret);
struct layer *layer_again(struct layer *l);
void layer_free(struct layer *l); /* one reference; accepts NULL */
must_check bool layer_has(const struct layer *l, uint64_t cluster);

/* Layers are numbered from the lowest; the private one is the last. NULL where there is none. */
static inline uint32_t disk_layers(const struct disk *k)
{
	return k->n_under + (k->private != NULL);
}
static inline struct layer *disk_layer(const struct disk *k, uint32_t i)
{
	return i < k->n_under ? k->under[i] : k->private;
}
/* How many hold anything that the base does not. */
uint32_t disk_layers_used(const struct disk *k);

/* The file that the bytes at `at` are read from, and how far from there that stays so (at most to
 * `end`). */
int disk_source(const struct disk *k, uint64_t at, uint64_t end, uint64_t *ret_run_end);

must_check err_t layer_write(struct disk *k, uint64_t at, struct io *io, uint64_t len);
must_check err_t layer_zero(struct disk *k, uint64_t at, uint64_t len);
must_check err_t layer_discard(struct disk *k, uint64_t at, uint64_t len);
