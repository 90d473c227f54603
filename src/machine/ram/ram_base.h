/* SPDX-License-Identifier: Apache-2.0 */
/* What lies below a machine's private memory and is shared by all who run on it: a handful of
 * pieces, each a part of a file or a hole. Immutable and counted; any thread.
 *
 * The files of a zygote are memfds sealed against every change. That of a restored machine is its
 * snapshot, which somebody else may still cut or overwrite (gmem_guard.h). */
#pragma once

#include "base/own.h"
#include "plan/geometry.h"
#include "plan/ram_extents.h"
#include "wire/sections.h"

struct ram_base;

/* RAM as a snapshot file has it, from `at`; `map` says which blocks of it hold data. The file is
 * duplicated. */
must_check err_t ram_base_of_file(int file, foff_t at, bytes_t ram, const struct ram_map *map,
				  struct diag *d, struct ram_base **ret_base);
/* RAM of these memfds, which are taken; on failure they are dropped. ERR_RANGE when the pieces are
 * too many, not whole pages without gaps from start to end, or lie outside their file; ERR_STATE
 * when a file is not sealed. They may come from a process that is not trusted. */
struct ram_files { uint32_t n; fd_t fd[RAM_SOURCES_MAX]; };
must_check err_t ram_base_of_memfds(struct ram_files *in, const struct ram_extents *pieces,
				    bytes_t ram, struct diag *d, struct ram_base **ret_base);
/* The same in two steps, for a machine that runs on it already while a file
 * is still being filled. Only its maker may have the first step's base, for mapping and for asking about
 * pieces. After the second has failed for want of a seal, it still serves its maker as any other. */
must_check err_t ram_base_draft(struct ram_files *in, const struct ram_extents *pieces, bytes_t ram,
				struct ram_base **ret_base);
must_check err_t ram_base_complete(struct ram_base *draft, struct diag *d);
/* RAM of a memfd (ram_memfd_new) that the caller has filled and that is mapped nowhere; taken on
 * success. */
must_check err_t ram_base_of_filled(fd_t *memfd, bytes_t ram, struct diag *d,
				    struct ram_base **ret_base);
struct ram_base *ram_base_again(struct ram_base *b);
void ram_base_free(struct ram_base *b); /* one reference; accepts NULL */

bytes_t ram_base_len(const struct ram_base *b);
const struct ram_extents *ram_base_extents(const struct ram_base *b);
uint32_t ram_base_sources(const struct ram_base *b);
int ram_base_source(const struct ram_base *b, uint32_t i);
/* Can nobody change it any more? */
bool ram_base_is_sealed(const struct ram_base *b);
/* Is the file shorter than it was? Never, when it is sealed. */
must_check bool ram_base_is_cut(const struct ram_base *b);

/* May block `index` hold anything but zeroes? */
bool ram_base_has(const struct ram_base *b, uint64_t index);
/* Reads holes as zeroes, and fills none. ERR_RAM_LOST when the file has been cut. */
must_check err_t ram_base_read(const struct ram_base *b, bytes_t offset, uint8_t *to, size_t n,
			       struct diag *d);
/* Maps all of it at [at, at + length), private: where nothing is mapped, or in the place of all that is.
 * After a failure nothing is. */
enum ram_place { RAM_PLACE_EMPTY, RAM_PLACE_TAKEN };
must_check err_t ram_base_map(const struct ram_base *b, void *at, enum ram_place place,
			      struct diag *d);

/* A memfd of that size which nobody can shrink or grow. */
must_check err_t ram_memfd_new(bytes_t size, struct diag *d, fd_t *ret);
/* No more writing: fails while a writable shared mapping lives. */
must_check err_t ram_memfd_seal(int memfd, struct diag *d);
