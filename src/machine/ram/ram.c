/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "machine/ram/gmem_guard.h"
#include "machine/ram/ram_parts.h"

static err_t new_at(const struct geometry *g, fd_t *memfd, struct diag *d, struct ram **ret_ram)
{
	bool shared = fd_is_open(*memfd);
	uint64_t len = geometry_ram(g).v;
	struct ram *r = calloc(1, sizeof *r);
	void *base;

	if (r == NULL)
		return FAIL(ERR_NOMEM);
	guard_install();
	base = mmap(NULL, len, shared ? PROT_READ | PROT_WRITE : PROT_NONE,
		    MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS), memfd->raw,
		    0);
	if (base == MAP_FAILED) {
		free(r);
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
				"mapping %" PRIu64 " MiB of guest RAM", len >> 20);
	}
	r->map = (map_t){ base, len };
	r->memfd = fd_take(memfd);
	r->blocks = geometry_ram_blocks(g);
	r->mem.base = base;
	r->mem.n_regions = geometry_ram_regions(g);
	for (uint32_t i = 0; i < r->mem.n_regions; i++)
		r->mem.regions[i] = geometry_ram_region(g, i);
	*ret_ram = r;
	return OK;
}

err_t ram_new(const struct geometry *g, struct diag *d, struct ram **ret_ram)
{
	owned_fd memfd = FD_NONE;

	TRY(ram_memfd_new(geometry_ram(g), d, &memfd));
	return new_at(g, &memfd, d, ret_ram);
}

err_t ram_reserve(const struct geometry *g, struct diag *d, struct ram **ret_ram)
{
	fd_t none = FD_NONE;

	return new_at(g, &none, d, ret_ram);
}

err_t ram_attach(struct ram *reserved, struct ram_base *base, struct diag *d)
{
	assert(!ram_is_shared(reserved) && reserved->base == NULL);
	if (ram_base_len(base).v != reserved->map.len)
		return diag_fail(d, FAIL(ERR_SIZE),
				 "the memory is %" PRIu64 " bytes, the machine's %zu",
				 ram_base_len(base).v, reserved->map.len);
	TRY(ram_base_map(base, reserved->map.base, d));
	reserved->base = ram_base_again(base);
	return OK;
}

void ram_free(struct ram *r)
{
	if (r == NULL)
		return;
	map_drop(&r->map);
	fd_drop(&r->memfd);
	ram_base_free(r->base);
	free(r);
}

bool ram_is_cut(const struct ram *r)
{
	return r->base != NULL && ram_base_is_cut(r->base);
}

const struct gmem *ram_gmem(const struct ram *r)
{
	return &r->mem;
}

void *ram_host(const struct ram *r, struct ram_region region)
{
	return (uint8_t *)r->map.base + region.offset.v;
}
