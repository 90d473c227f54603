/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes behind a block device: a file or a host block device, alone or under copy-on-write
 * layers.
 *
 *   DISK_RO    base                                   shared lock
 *   DISK_RW    base                                   exclusive lock
 *   DISK_COW   base + [frozen layers] + private layer shared lock on what was a file before
 *
 * The bytes are raw and are never looked at to find a format: a guest that writes a header into its
 * disk writes a header into its disk. The private layer is a sparse file without a name, and a map
 * in memory of the clusters it holds. Freezing makes it one of the layers below, which all that are
 * spawned share; a chain is merged before it gets long, and when it is stored.
 *
 * One thread at a time uses a disk; the numbers of its size and mode may be read by any. */
#pragma once

#include <sys/uio.h>

#include "base/diag.h"
#include "base/own.h"
#include "base/units.h"
#include "wire/device_state.h"
#include "wire/parcel.h"

enum { DISK_SECTOR = 512 };

struct disk;

/* ERR_DISK when the file is neither regular nor a block device, holds less than a sector or no
 * whole number of sectors; ERR_LOCKED; ERR_FILE when it cannot be opened. `layer_dir` is where
 * private layers live, NULL: $TMPDIR, else /var/tmp. */
must_check err_t disk_open(const char *path, enum disk_mode mode, const char *layer_dir,
			   struct diag *d, struct disk **ret_disk);

struct disk_places {
	int snapshot_dir;        /* borrowed: stored copies are found in here, and nowhere else */
	const char *replacement; /* is the base instead, compared by size alone; NULL: none */
	const char *layer_dir;   /* as above */
};
/* The disk that `saved` describes. A file in place must be the one that it was (device, inode,
 * size, modification time): ERR_CHANGED names what differs. A stored copy is found by its name and
 * compared by size. */
must_check err_t disk_reopen(const struct blk_state *saved, const struct disk_places *at,
			     struct diag *d, struct disk **ret_disk);
void disk_free(struct disk *k); /* accepts NULL */

/* A file without a name, all hole, for a private layer of a disk of that size to be. */
must_check err_t layer_file_new(const char *layer_dir, bytes_t capacity, struct diag *d, fd_t *ret);

/* What a frozen machine's disk was: its base and layers, which nobody writes any more. Immutable and
 * counted; any thread. A disk that was written in place becomes the base of copy-on-write disks, and
 * its lock a shared one. */
struct disk_base;
/* Made in two steps, so that what can fail leaves the disk as it was. First all but the private
 * layer; then that too, and the disk itself is only freed, or goes on over its own base. */
must_check err_t disk_share(const struct disk *k, struct diag *d, struct disk_base **ret_base);
void disk_hand_down(struct disk *k, struct disk_base *b);
/* *k, which was handed down to the base, is from now on what `over` would be: a disk that was made over
 * that base before; it is taken. */
void disk_go_on(struct disk *k, const struct disk_base *b, struct disk *over);
/* Another file instead of what a machine had: in place, or as the base of private layers. Must hold
 * exactly as many bytes. */
must_check err_t disk_base_open(const char *path, enum disk_mode mode, bytes_t capacity,
				struct diag *d, struct disk_base **ret_base);
/* Merges layers if there are more than a child should have below it. Copies; before anybody shares
 * it. `file` (layer_file_new) is for a process that can make none, and is taken when it is needed;
 * NULL: one is made. */
must_check err_t disk_base_settle(struct disk_base *b, fd_t *file, struct diag *d);
/* *k lies over that base, which has been settled since: over what it is now, from now on. Nobody uses
 * the disk meanwhile. */
void disk_adopt(struct disk *k, const struct disk_base *b);
struct disk_base *disk_base_again(struct disk_base *b);
void disk_base_free(struct disk_base *b); /* one reference; accepts NULL */
bytes_t disk_base_capacity(const struct disk_base *b);
/* Of the disks over it. DISK_RW: there may be one. */
enum disk_mode disk_base_mode(const struct disk_base *b);
/* disk_held.c: what its layers hold, which is as much as merging them could copy; and what a file does. */
bytes_t disk_base_held(const struct disk_base *b);
bytes_t disk_file_held(int fd);
/* A disk over it. `layer` is a new file without a name for its private layer and is taken; a
 * read-only disk has no use for it. */
must_check err_t disk_over(const struct disk_base *b, fd_t *layer, struct diag *d,
			   struct disk **ret_disk);
/* Where the file of its private layer goes when the disk is freed, unless it was handed down. */
struct layer_files;
void disk_layer_home(struct disk *k, struct layer_files *home);
/* For another process: what it is, and its files (the base, then the layers from the lowest), both
 * borrowed from it but for the maps, which are copied to memory that is the caller's to free. */
struct disk_files { uint32_t n; int fd[1 + PARCEL_LAYERS_MAX]; };
must_check err_t disk_base_pack(const struct disk_base *b, struct parcel_disk *ret_disk,
				uint8_t **ret_maps, struct disk_files *ret_files);
/* Of what is made of a child's disk over it: as long as its maps can be. */
bytes_t disk_base_maps_most(const struct disk_base *b);
/* And back; the files are taken from `fds`, as many as the disk has. They may come from a process
 * that is not trusted: ERR_DISK, ERR_DEVICE when sizes or maps do not fit. */
must_check err_t disk_base_unpack(const struct parcel_disk *in, fd_t *fds, struct diag *d,
				  struct disk_base **ret_base);
/* The same files for a process that is not trusted: opened again without a lock, and for reading only but
 * for the base of a DISK_RW disk. As many as disk_base_files; what a failure leaves is dropped all the
 * same. */
uint32_t disk_base_files(const struct disk_base *b);
must_check err_t disk_base_lend(const struct disk_base *b, struct diag *d, fd_t *ret);
/* In that process. */
void disk_base_is_lent(struct disk_base *b);
/* Such a process has made *is of *was, and nobody shares *is yet: from now on it lies over the file that
 * *was lies over, and its layers are those of *was where they are the same. ERR_DEVICE when it cannot be of
 * that. `copies`: the process goes on and may still write its layers, and everybody else gets copies, which
 * are made once; NULL: it is not there any more when *is is used. */
struct disk_copies;
must_check err_t disk_base_inherit(struct disk_base *is, const struct disk_base *was,
				   struct disk_copies **copies, struct diag *d);
void disk_copies_free(struct disk_copies *c); /* accepts NULL */

/* For a snapshot file: as disk_store_as. */
must_check err_t disk_base_store_as(struct disk_base *b, int to, const char *name, struct diag *d,
				    struct blk_state *ret);

bytes_t disk_capacity(const struct disk *k);
enum disk_mode disk_mode(const struct disk *k);
/* Is there anything that a snapshot cannot leave in place: a layer that holds something, or a base
 * that is another snapshot's copy, and goes when that one is replaced or deleted? */
must_check bool disk_needs_storing(const struct disk *k);

/* All of it or an error. [at, at + n) lies within the capacity and is whole sectors, and for the
 * first two n is the sum of the iovecs: the caller has seen to that. The iovecs may be guest
 * memory: only the kernel reads and writes through them. */
must_check err_t disk_read(struct disk *k, foff_t at, const struct iovec *iov, size_t n_iov);
must_check err_t disk_write(struct disk *k, foff_t at, const struct iovec *iov, size_t n_iov);
/* What was written is on stable storage when this returns. */
must_check err_t disk_flush(struct disk *k);
/* Reads as zeroes from now on; with `unmap`, gives the host its space back where it can. */
must_check err_t disk_zero(struct disk *k, foff_t at, bytes_t n, bool unmap);
/* The guest has no use for the bytes: a hint, which a host that cannot punch holes ignores. */
must_check err_t disk_discard(struct disk *k, foff_t at, bytes_t n);

/* At a quiesced moment. Describes the files in place, made durable first: ERR_STATE for a disk
 * that needs storing. The map in *ret is the caller's to free (device_state_clear). */
must_check err_t disk_describe(struct disk *k, struct diag *d, struct blk_state *ret);
/* The same for a machine whose disks live on in memory (disk_freeze): a copy-on-write disk over its
 * base, whose layers are not described. Nothing is made durable. */
must_check err_t disk_describe_base(const struct disk *k, struct diag *d, struct blk_state *ret);
/* As disk_describe after a copy was made in `to`, a new and empty file whose bytes are durable when this
 * returns and which the caller will call `name` in the snapshot's folder:
 *   ro            nothing is copied, the base is described in place
 *   rw            the base: a restore opens the copy as the base of a private layer
 *   cow           both layers as one, with their map, over the base in place
 *   cow, the base or layer itself a stored copy: base and layers as one new base
 * By reflink where the file system has it, else holes are kept. */
must_check err_t disk_store_as(struct disk *k, int to, const char *name, struct diag *d,
			       struct blk_state *ret);
