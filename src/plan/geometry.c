/* SPDX-License-Identifier: Apache-2.0 */
/* The one canonical layout of a machine: RAM in guest-physical space, sections in a file. Holds a
 * judged topology; row sizes may come from a file and are taken for nothing but numbers. */
#include "plan/geometry.h"

#include <inttypes.h>

#include "base/heap.h"
#include "flow.h"
#include "plan/map.h"

struct geometry {
	const struct topology *topology; /* owned */
	uint32_t n_regions;
	struct ram_region regions[RAM_REGIONS_MAX];
	uint32_t n_rows;
	struct snap_row_id rows[SNAP_ROWS_MAX];
};

static void geometry_drop(struct geometry **g)
{
	geometry_free(*g);
}

/* The order of SECT_KINDS is the order in the file. */
static const struct sect_place {
	enum sect_kind kind;
	enum sect_per per;
} sect_places[] = {
#define X(name, id, word, since, most, per) { SECT_##name, SECT_##per },
	SECT_KINDS(X)
#undef X
};

static uint32_t rows_of(const struct shape *s, enum sect_per per)
{
	switch (per) {
	case SECT_ONE:
		return 1;
	case SECT_PER_VCPU:
		return s->vcpus;
	case SECT_PER_DEVICE:
		return s->n_devices;
	}
	unreachable_by_type();
}

static void rows_place(struct geometry *g, const struct shape *s)
{
	for (size_t k = 0; k < countof(sect_places); k++) {
		uint32_t n = rows_of(s, sect_places[k].per);

		for (uint32_t i = 0; i < n; i++)
			g->rows[g->n_rows++] = (struct snap_row_id){ sect_places[k].kind, i };
	}
}
static_assert(countof(sect_places) - 2 + SHAPE_VCPUS_MAX + SHAPE_DEVICES_MAX <= SNAP_ROWS_MAX,
	      "the largest machine's rows fit (two kinds are not one per machine)");

err_t geometry_plan(const struct topology *in, struct diag *d, const struct geometry **ret_geo)
{
	__attribute__((cleanup(geometry_drop))) struct geometry *g = NULL;
	const struct shape *s = topology_shape(in);
	const char *expected = map_ram_fault(s->ram);

	if (expected != NULL)
		return diag_field(d, FAIL(ERR_RANGE), "geometry", "ram", "%" PRIu64
				  " bytes of memory, expected %s", s->ram.v, expected);
	g = calloc(1, sizeof *g);
	if (g == NULL)
		return FAIL(ERR_NOMEM);
	TRY(topology_plan(s, d, &g->topology));
	g->n_regions = map_ram_regions(s->ram, g->regions);
	rows_place(g, s);
	*ret_geo = take_ptr(g);
	return OK;
}

void geometry_free(const struct geometry *g)
{
	if (g == NULL)
		return;
	topology_free(g->topology);
	free((void *)g);
}

const struct topology *geometry_topology(const struct geometry *g)
{
	return g->topology;
}

bytes_t geometry_ram(const struct geometry *g)
{
	return topology_shape(g->topology)->ram;
}

uint64_t geometry_ram_blocks(const struct geometry *g)
{
	return geometry_ram(g).v / RAM_BLOCK;
}

uint32_t geometry_ram_regions(const struct geometry *g)
{
	return g->n_regions;
}

struct ram_region geometry_ram_region(const struct geometry *g, uint32_t i)
{
	assert(i < g->n_regions);
	return g->regions[i];
}

uint32_t geometry_rows(const struct geometry *g)
{
	return g->n_rows;
}

struct snap_row_id geometry_row(const struct geometry *g, uint32_t i)
{
	assert(i < g->n_rows);
	return g->rows[i];
}
