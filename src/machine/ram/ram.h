/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's RAM in the host: the memory behind its KVM slots, at one address from the beginning.
 *
 *   shared     a cold-booted machine runs on a memfd of its own, mapped shared
 *   private    any other runs on private mappings over a base (ram_base.h): it reads the base's pages
 *              until it writes its own
 *   reserved   a shell has the addresses and no memory yet
 *
 * RAM is walked without reading it where it holds nothing, because reading a memfd's holes through a
 * mapping fills them. */
#pragma once

#include "base/own.h"
#include "machine/ram/gmem.h"
#include "machine/ram/ram_base.h"
#include "machine/vcpu/quiesced.h"

struct ram;

/* Fresh, zero, shared. ERR_HOST_MEMORY when the host cannot map as much. */
must_check err_t ram_new(const struct geometry *g, struct diag *d, struct ram **ret_ram);
must_check err_t ram_reserve(const struct geometry *g, struct diag *d, struct ram **ret_ram);
/* reserved -> private. One more reference to the base. The slots that are registered on the reserved
 * addresses stay as they are; nothing has run on them. After a failure it can only be freed. */
must_check err_t ram_attach(struct ram *reserved, struct ram_base *base, struct diag *d);
/* /proc/self/pagemap, for a process that cannot open it when it walks or freezes private memory;
 * taken. FD_NONE: it can. */
void ram_give_page_map(struct ram *r, fd_t *page_map);
void ram_free(struct ram *r); /* accepts NULL */

/* Is the file behind it shorter than it was? Then its pages are gone, whoever touches them. */
must_check bool ram_is_cut(const struct ram *r);

/* As devices see it. Lives as long as the ram. */
const struct gmem *ram_gmem(const struct ram *r);
/* The host address of a region, for its KVM slot. */
void *ram_host(const struct ram *r, struct ram_region region);

/* One pass over the blocks that may hold data, lowest first; a block not visited is all zero.
 * `bytes` is one block: in the guest's memory when `in_place`, so that neighbours lie together,
 * else in a buffer that the next call overwrites. Nothing is allocated in the guest's memory. */
struct ram_visitor {
	err_t (*block)(void *ctx, uint64_t index, const uint8_t *bytes, bool in_place);
	bool (*wants)(void *ctx, uint64_t index); /* NULL: every block */
	void *ctx;
};
must_check err_t ram_walk(const struct ram *r, struct quiesced q, struct diag *d,
			  struct ram_visitor visitor);

/* The end of a machine's RAM as its own: from now on a base, which others run on. Shared memory is
 * sealed as it is, without a copy; of private memory the machine's own pages are copied into a new
 * layer over what they lie on, and all of it when that is not sealed. The ram is then only freed; on
 * failure it is as it was.
 *
 * `layer`: the memfd for the new layer (ram_memfd_new), for a process that can make none; taken when
 * it is needed. NULL: one is made. */
must_check err_t ram_freeze(struct ram *r, struct quiesced q, fd_t *layer, struct diag *d,
			    struct ram_base **ret_base);
