/* SPDX-License-Identifier: Apache-2.0 */
/* mremap with MREMAP_DONTUNMAP moves page tables, not pages, and leaves the addresses mapped
 * meanwhile, so that no other thread's mapping gets in. KVM follows by itself (MMU notifiers); its
 * slots stay as they are. */
#include <errno.h>

#include "machine/ram/ram_branch_parts.h"
#include "machine/ram/uffd.h"

/* As far from a GiB as RAM is: then whole tables are moved, not their entries. */
err_t branch_reserve(struct ram_branch *b, struct diag *d)
{
	size_t len = b->ram->map.len + GIB(1);
	void *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno }, "reserving addresses");
	b->reserve = (map_t){ at, len };
	b->aside = (uint8_t *)at +
		   (((uintptr_t)b->ram->map.base - (uintptr_t)at) & (GIB(1) - 1));
	return OK;
}

/* syscalls(control): mremap mmap munmap */
static err_t move(void *from, void *to, size_t n, int more, struct diag *d)
{
	if (mremap(from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED | more, to) == MAP_FAILED)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno }, "moving guest RAM");
	return OK;
}

err_t branch_move_all_aside(struct ram_branch *b, struct diag *d)
{
	const map_t *ram = &b->ram->map;

	return move(ram->base, b->aside, ram->len, MREMAP_DONTUNMAP, d);
}

err_t branch_move_all_back(struct ram_branch *b)
{
	const map_t *ram = &b->ram->map;

	return move(b->aside, ram->base, ram->len, 0, NULL);
}

/* Below a sealed base holes are mapped as such; a file that is not sealed is mapped as one piece, and
 * is to be left altogether. */
static bool is_new(const struct ram_branch *b, const struct ram_extent *e)
{
	return branch_is_fresh(b, e) ||
	       (e->source == RAM_SOURCE_HOLE && !ram_base_is_sealed(b->old));
}

struct part { uint64_t from, to; };

static struct part common(const struct ram_extent *e, const struct ram_extent *f)
{
	uint64_t e_end = e->offset.v + e->len.v, f_end = f->offset.v + f->len.v;

	return (struct part){ e->offset.v > f->offset.v ? e->offset.v : f->offset.v,
			      e_end < f_end ? e_end : f_end };
}

static err_t move_part(struct ram_branch *b, struct part p, struct diag *d)
{
	if (p.from >= p.to)
		return OK;
	TRY(move(b->ram->mem.base + p.from, b->aside + p.from, p.to - p.from, MREMAP_DONTUNMAP, d));
	b->moved = p.to;
	return OK;
}

static err_t move_part_back(struct ram_branch *b, struct part p, struct diag *d)
{
	if (p.from >= p.to || p.to > b->moved)
		return OK;
	return move(b->aside + p.from, b->ram->mem.base + p.from, p.to - p.from, 0, d);
}

/* Part by part, ascending, each within one mapping: those that the base was mapped with. */
static err_t for_each_part(struct ram_branch *b, struct diag *d,
			   err_t (*act)(struct ram_branch *, struct part, struct diag *))
{
	const struct ram_extents *mapped = ram_base_extents(b->old);

	for (uint32_t i = 0; i < b->pieces.n; i++)
		for (uint32_t k = 0; k < mapped->n && is_new(b, &b->pieces.e[i]); k++)
			TRY(act(b, common(&b->pieces.e[i], &mapped->e[k]), d));
	return OK;
}

err_t branch_move_aside(struct ram_branch *b, struct diag *d)
{
	return for_each_part(b, d, move_part);
}

err_t branch_move_back(struct ram_branch *b)
{
	return for_each_part(b, NULL, move_part_back);
}

err_t branch_map_new(struct ram_branch *b, struct diag *d)
{
	for (uint32_t i = 0; i < b->pieces.n; i++) {
		const struct ram_extent *e = &b->pieces.e[i];
		uint8_t *at = b->ram->mem.base + e->offset.v;
		bool fresh = branch_is_fresh(b, e);
		int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | (fresh ? 0 : MAP_ANONYMOUS);

		if (!is_new(b, e))
			continue;
		if (mmap(at, e->len.v, PROT_READ | PROT_WRITE, flags, fresh ? b->memfd.raw : -1,
			 (off_t)e->at.v) == MAP_FAILED)
			return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno }, "mapping guest RAM");
		if (fresh && b->uffd >= 0)
			TRY(uffd_watch(b->uffd, at, e->len.v, d));
	}
	return OK;
}
