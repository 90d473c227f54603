/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: docs/design/0015-a-branch-goes-on-as-its-own-child.md says why it is this. */
#include "machine/ram/ram_branch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/heap.h"
#include "machine/ram/page_fill.h"
#include "machine/ram/ram_branch_parts.h"
#include "machine/ram/uffd.h"

#define THIN_STEP MIB(64)

static struct ram_layering layering(const struct ram_branch *b)
{
	return (struct ram_layering){
		.below = b->below.e, .n_below = b->below.n,
		.written = b->written.run, .n_written = b->written.n_runs,
		.fresh = b->fresh, .replaced = ram_base_is_sealed(b->ram->base) ? 0 : 1,
		.worthless = RAM_WORTHLESS,
	};
}

static err_t plan(struct ram_branch *b)
{
	struct ram_layering l;

	TRY(ram_written_runs(&b->written));
	l = layering(b);
	return ram_extents_plan(&l, &b->pieces);
}

/* ---- prepare ---- */

/* Of a shared memfd, to give pages back drops them from the page tables and from nowhere else. The
 * first pass takes so long that the guest touches much of it again; the second is quick. */
static void thin_shared(const struct ram *r)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t at = 0; at < r->map.len; at += THIN_STEP) {
			size_t left = r->map.len - at;

			(void)madvise(r->mem.base + at, left < THIN_STEP ? left : THIN_STEP,
				      MADV_DONTNEED);
		}
	}
}

static err_t prepare_shared(struct ram_branch *b, struct diag *d)
{
	const struct ram *r = b->ram;

	b->fresh = 0;
	b->memfd = (fd_t){ fcntl(r->memfd.raw, F_DUPFD_CLOEXEC, 0) };
	if (!fd_is_open(b->memfd))
		return diag_sys(d, FAIL_SYS(errno), "keeping the machine's memory");
	TRY(ram_plan_memfd(r->memfd.raw, BYTES(r->map.len), d, &b->pieces));
	thin_shared(r);
	return OK;
}

static err_t open_door(struct ram_branch *b, struct diag *d)
{
	size_t n = b->ram->map.len;
	void *at;

	if (b->uffd < 0)
		return OK;
	at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, b->memfd.raw, 0);
	if (at == MAP_FAILED)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno }, "mapping guest RAM");
	b->door = (map_t){ at, n };
	return uffd_watch(b->uffd, at, n, d);
}

/* All of it is prepared, not the parts: the mappings must stay as they are, each in one piece. */
static void thin_fresh(const struct ram_branch *b)
{
	const struct ram *r = b->ram;

	if (b->uffd < 0 || !uffd_thin_prepare(b->uffd, r->mem.base, r->map.len))
		return;
	for (uint32_t i = 0; i < b->pieces.n; i++)
		if (branch_is_fresh(b, &b->pieces.e[i]))
			uffd_thin(b->uffd, r->mem.base + b->pieces.e[i].offset.v,
				  b->pieces.e[i].len.v);
	uffd_unwatch(b->uffd, r->mem.base, r->map.len);
}

/* The plan is made once more when something was written meanwhile; what is fresh in this one stays
 * fresh then, so that only the rest need be looked at. */
static err_t prepare_private(struct ram_branch *b, struct diag *d)
{
	const struct ram *r = b->ram;

	b->fresh = ram_base_sources(r->base);
	b->done = calloc(1, r->blocks / 8 + 1);
	if (b->done == NULL)
		return FAIL(ERR_NOMEM);
	if (b->layer != NULL)
		b->memfd = fd_take(b->layer);
	else
		TRY(ram_memfd_new(BYTES(r->map.len), d, &b->memfd));
	TRY(open_door(b, d));
	TRY(ram_written_new(r, &b->written));
	TRY(ram_below_of(r, &b->below));
	TRY(ram_written_look(&b->written, &b->map, d));
	TRY(plan(b));
	ram_written_limit(&b->written, &b->pieces, b->fresh);
	TRY(plan(b));
	ram_written_cover(&b->written, &b->pieces, b->fresh);
	thin_fresh(b);
	return OK;
}

err_t ram_branch_prepare(struct ram *r, struct ram_branch_means means, struct diag *d,
			 struct ram_branch **ret_branch)
{
	struct ram_branch *b = calloc(1, sizeof *b);
	err_t e;

	if (b == NULL)
		return FAIL(ERR_NOMEM);
	*b = (struct ram_branch){ .ram = r, .uffd = means.uffd, .is_shared = ram_is_shared(r),
				  .memfd = FD_NONE, .layer = means.layer, .map = { { means.page_map } } };
	assert(b->is_shared || r->base != NULL);
	e = branch_reserve(b, d);
	if (!failed(e))
		e = b->is_shared ? prepare_shared(b, d) : prepare_private(b, d);
	if (failed(e)) {
		ram_branch_free(b);
		return e;
	}
	*ret_branch = b;
	return OK;
}

/* ---- arm ---- */

static struct page_fill fill_of(const struct ram_branch *b)
{
	return (struct page_fill){
		.aside = b->aside, .live = b->ram->mem.base, .below = b->old,
		.pieces = &b->pieces, .fresh = b->fresh, .memfd = b->memfd.raw, .uffd = b->uffd,
		.door = b->door.base,
		.map = b->map, .done = b->done, .blocks = b->ram->blocks,
	};
}

/* The numbers of the files change here. */
static err_t draft(struct ram_branch *b, struct diag *d, struct ram_base **ret)
{
	struct ram_files files = { 0 };
	uint32_t was = b->fresh, i = 0;
	err_t e;

	while (i < b->pieces.n && b->pieces.e[i].source != was)
		i++;
	e = ram_files_of(b->old, was, &b->memfd, &b->pieces, d, &files);
	if (failed(e)) {
		for (uint32_t k = 0; k < files.n; k++)
			fd_drop(&files.fd[k]);
		return e;
	}
	b->fresh = i < b->pieces.n ? b->pieces.e[i].source : RAM_SOURCES_MAX;
	return ram_base_draft(&files, &b->pieces, BYTES(b->ram->map.len), ret);
}

static err_t replace(struct ram_branch *b, struct diag *d)
{
	struct page_fill fill = fill_of(b);
	err_t e = branch_move_aside(b, d);

	if (!failed(e) && b->uffd < 0)
		e = page_fill_all(&fill, d);
	if (!failed(e))
		e = branch_map_new(b, d);
	if (failed(e) && failed(branch_move_back(b)))
		return FAIL(ERR_RAM_LOST);
	return e;
}

static err_t arm_private(struct ram_branch *b, struct diag *d)
{
	struct ram_base *next;
	bool more;
	err_t e;

	TRY(ram_written_look_again(&b->written, &b->map, &b->pieces, b->fresh, d, &more));
	if (more)
		TRY(plan(b));
	b->old = b->ram->base;
	TRY(draft(b, d, &next));
	e = replace(b, d);
	if (failed(e)) {
		ram_base_free(next);
		return e;
	}
	b->ram->base = next;
	return OK;
}

/* A hole that was written since the plan was made belongs to the memfd now. */
static err_t holes_again(struct ram_branch *b, struct diag *d)
{
	for (uint32_t i = 0; i < b->pieces.n; i++) {
		struct ram_extent *e = &b->pieces.e[i];
		off_t data;

		if (e->source != RAM_SOURCE_HOLE)
			continue;
		data = lseek(b->memfd.raw, (off_t)e->offset.v, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return diag_sys(d, FAIL_SYS(errno), "looking for data in guest RAM");
		if (data >= 0 && (uint64_t)data < e->offset.v + e->len.v)
			*e = (struct ram_extent){ e->offset, e->len, 0, FOFF(e->offset.v) };
	}
	return OK;
}

static err_t arm_shared(struct ram_branch *b, struct diag *d)
{
	struct ram *r = b->ram;
	struct ram_files files = { .n = 1, .fd = { { fcntl(b->memfd.raw, F_DUPFD_CLOEXEC, 0) } } };
	struct ram_base *next;
	err_t e;

	if (!fd_is_open(files.fd[0]))
		return diag_sys(d, FAIL_SYS(errno), "keeping the machine's memory");
	TRY(holes_again(b, d));
	TRY(ram_base_draft(&files, &b->pieces, BYTES(r->map.len), &next));
	e = branch_move_all_aside(b, d);
	if (!failed(e)) {
		e = ram_base_map(next, r->map.base, RAM_PLACE_TAKEN, d);
		if (failed(e) && failed(branch_move_all_back(b)))
			e = FAIL(ERR_RAM_LOST);
	}
	if (failed(e)) {
		ram_base_free(next);
		return e;
	}
	r->base = next;
	fd_drop(&r->memfd);
	return OK;
}

err_t ram_branch_arm(struct ram_branch *b, struct quiesced q, struct diag *d)
{
	err_t e;

	(void)q;
	assert(!b->is_armed);
	e = b->is_shared ? arm_shared(b, d) : arm_private(b, d);
	if (failed(e))
		b->old = NULL; /* still the ram's */
	b->is_armed = !failed(e);
	return e;
}

/* ---- finish ---- */

static err_t fill(struct ram_branch *b, struct diag *d)
{
	struct page_fill f = fill_of(b);
	err_t e;

	if (b->uffd < 0)
		return OK;
	e = page_fill_all(&f, d);
	if (failed(e) && failed(page_fill_return(&f, NULL))) {
		page_fill_lose(&f);
		return FAIL(ERR_RAM_LOST);
	}
	return e;
}

/* Also what an earlier branch had no luck with: a page that somebody still held. */
static err_t seal(const struct ram_base *base, struct diag *d)
{
	for (uint32_t i = 0; i < ram_base_sources(base); i++)
		TRY(ram_memfd_seal(ram_base_source(base, i), d));
	return OK;
}

err_t ram_branch_finish(struct ram_branch *b, struct diag *d, struct ram_base **ret_base)
{
	struct ram_base *base = b->ram->base;
	err_t e, sealed, complete;

	assert(b->is_armed && !b->is_finished);
	e = b->is_shared ? OK : fill(b, d);
	b->is_finished = true;
	map_drop(&b->reserve);
	map_drop(&b->door);
	if (!failed(e))
		e = ram_fill_holes(b->memfd.raw, &b->pieces, b->fresh, d);
	sealed = seal(base, failed(e) ? NULL : d);
	if (!failed(e))
		e = sealed;
	complete = ram_base_complete(base, failed(e) ? NULL : d);
	TRY(e);
	TRY(complete);
	*ret_base = ram_base_again(base);
	return OK;
}

struct ram_branch_sizes ram_branch_sizes(const struct ram_branch *b)
{
	struct ram_branch_sizes s = { BYTES(0), BYTES(0) };

	for (size_t i = 0; i < b->written.n_runs; i++)
		s.written.v += b->written.run[i].len.v;
	for (uint32_t i = 0; i < b->pieces.n; i++)
		if (branch_is_fresh(b, &b->pieces.e[i]))
			s.fresh.v += b->pieces.e[i].len.v;
	return s;
}

void ram_branch_free(struct ram_branch *b)
{
	if (b == NULL)
		return;
	assert(!b->is_armed || b->is_finished);
	map_drop(&b->reserve);
	map_drop(&b->door);
	fd_drop(&b->memfd);
	ram_written_drop(&b->written);
	free(b->below.e);
	ram_base_free(b->old);
	free(b->done);
	free(b);
}
