/* SPDX-License-Identifier: Apache-2.0 */
/* The section table of a snapshot and the registry of section kinds. */
#pragma once

#include "base/bytes.h"
#include "base/units.h"

/* X(name, id, word, since version, most bytes, per machine or per vCPU or per device).
 * Ids are in the file: only append. The order of this list is the order in the file. */
#define SECT_KINDS(X) \
	X(INVENTORY, 1, "inventory", 1, KIB(64),  ONE)      \
	X(TOPOLOGY,  2, "topology",  1, KIB(4),   ONE)      \
	X(CONFIG,    3, "config",    1, KIB(256), ONE)      \
	X(VCPU,      4, "vcpu",      1, KIB(64),  PER_VCPU) \
	X(IRQCHIP,   5, "irqchip",   1, KIB(4),   ONE)      \
	X(CLOCK,     6, "clock",     1, KIB(1),   ONE)      \
	X(DEVICE,    7, "device",    1, MIB(16),  PER_DEVICE) \
	X(SERIAL,    8, "serial",    1, KIB(4),   ONE)      \
	X(RAM_MAP,   9, "ram-map",   1, MIB(3),   ONE)      \
	X(RAM_SUMS, 10, "ram-sums",  1, MIB(129), ONE)      \
	X(RAM,      11, "ram",       1, GIB(1024), ONE)

enum sect_kind {
#define X(name, id, word, since, most, per) SECT_##name = (id),
	SECT_KINDS(X)
#undef X
};

enum sect_per { SECT_ONE, SECT_PER_VCPU, SECT_PER_DEVICE };

struct snap_row_id {
	enum sect_kind kind;
	uint32_t index; /* vCPU or slot; 0 where there is one */
};

struct snap_row {
	struct snap_row_id id;
	foff_t offset;
	bytes_t size;
	uint64_t crc; /* CRC-64/ECMA-182 of the section; 0 for RAM, whose blocks have their own */
};

enum { SNAP_ROW_SIZE = 32, SNAP_ROWS_MAX = 8 + 64 + 19 + 5 };

must_check err_t sect_kind_parse(uint32_t raw, enum sect_kind *ret_kind);
const char *sect_kind_word(enum sect_kind k);
bytes_t sect_kind_max(enum sect_kind k);
enum sect_per sect_kind_per(enum sect_kind k);

/* n rows; every kind known, every size within its kind's maximum, no row twice. Order and offsets
 * are judged against the geometry, by plan/image.h. After a failure the rows mean nothing. */
must_check err_t snap_table_parse(struct cur *in, uint32_t n, struct diag *d,
				  struct snap_row *ret_rows);
void snap_table_encode(struct out *o, const struct snap_row *rows, uint32_t n);
