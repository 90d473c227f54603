/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/ram.h"

#include <errno.h>
#include <inttypes.h>

#include "base/heap.h"
#include "machine/ram/gmem_guard.h"
#include "machine/ram/ram_parts.h"

/* `base` is where it will be; the map is set by who maps it. */
static struct ram *ram_alloc(const struct geometry *g, void *base)
{
	struct ram *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	guard_install();
	r->memfd = r->page_map = FD_NONE;
	r->blocks = geometry_ram_blocks(g);
	r->mem.base = base;
	r->mem.n_regions = geometry_ram_regions(g);
	for (uint32_t i = 0; i < r->mem.n_regions; i++)
		r->mem.regions[i] = geometry_ram_region(g, i);
	return r;
}

static err_t no_room(uint64_t len, struct diag *d)
{
	return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
			"mapping %" PRIu64 " MiB of guest RAM", len >> 20);
}

err_t ram_new(const struct geometry *g, struct diag *d, struct ram **ret_ram)
{
	owned_fd memfd = FD_NONE;
	uint64_t len = geometry_ram(g).v;
	void *base;

	TRY(ram_memfd_new(geometry_ram(g), d, &memfd));
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd.raw, 0);
	if (base == MAP_FAILED)
		return no_room(len, d);
	*ret_ram = ram_alloc(g, base);
	if (*ret_ram == NULL) {
		(void)munmap(base, len);
		return FAIL(ERR_NOMEM);
	}
	(*ret_ram)->map = (map_t){ base, len };
	(*ret_ram)->memfd = fd_take(&memfd);
	return OK;
}

err_t ram_reserve(const struct geometry *g, struct diag *d, struct ram **ret_ram)
{
	owned_map claim = MAP_NONE;
	uint64_t len = geometry_ram(g).v;
	void *base = ram_claim(len, &claim);

	if (base == NULL)
		return no_room(len, d);
	*ret_ram = ram_alloc(g, base);
	if (*ret_ram == NULL)
		return FAIL(ERR_NOMEM);
	(*ret_ram)->claim = map_take(&claim);
	return OK;
}

err_t ram_attach(struct ram *reserved, struct ram_base *base, struct diag *d)
{
	uint64_t len = reserved->blocks * RAM_BLOCK;

	assert(!ram_is_shared(reserved) && reserved->base == NULL);
	if (ram_base_len(base).v != len)
		return diag_fail(d, FAIL(ERR_SIZE),
				 "the memory is %" PRIu64 " bytes, the machine's %" PRIu64,
				 ram_base_len(base).v, len);
	TRY(ram_base_map(base, reserved->mem.base, RAM_PLACE_EMPTY, d));
	reserved->map = (map_t){ reserved->mem.base, len };
	reserved->base = ram_base_again(base);
	return OK;
}

void ram_give_page_map(struct ram *r, fd_t *page_map)
{
	fd_drop(&r->page_map);
	r->page_map = fd_take(page_map);
}

void ram_free(struct ram *r)
{
	if (r == NULL)
		return;
	fd_drop(&r->page_map);
	map_drop(&r->map);
	map_drop(&r->claim);
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
	return r->mem.base + region.offset.v;
}
