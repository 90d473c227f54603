/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote on its way to another process: bytes, and descriptors beside them in this order: the files
 * of RAM; then of each disk the base and its layers, the lowest first.
 *
 * Either side may be the one that is not trusted, so what arrives is judged like a file. It never
 * outlives the programs that speak it: there is one version, that of the build. */
#pragma once

#include "base/bytes.h"
#include "wire/device_state.h"

enum { RAM_EXTENTS_MAX = 8, RAM_SOURCES_MAX = RAM_EXTENTS_MAX };

/* Numbers below RAM_SOURCES_MAX are files, in the order of their owner's list. */
enum { RAM_SOURCE_HOLE = UINT32_MAX };

struct ram_extent {
	bytes_t offset; /* from the start of RAM */
	bytes_t len;
	uint32_t source;
	foff_t at; /* of its first byte, in the source */
};

struct ram_extents {
	uint32_t n;
	struct ram_extent e[RAM_EXTENTS_MAX];
};

enum { PARCEL_ID_LEN = 16, PARCEL_LAYERS_MAX = 9, PARCEL_MAP_MAX = 8 << 20 };

struct parcel_disk {
	uint32_t slot;
	enum disk_mode mode; /* of the disks over it */
	bytes_t capacity;
	bool stored;         /* the base belongs to a snapshot */
	char path[DEVICE_PATH_MAX];
	uint32_t n_layers;
	uint32_t cluster, map_len; /* 0 without layers */
	const uint8_t *maps;       /* n_layers times map_len bytes; borrowed */
};

struct parcel {
	uint8_t id[PARCEL_ID_LEN], parent[PARCEL_ID_LEN];
	uint32_t n_files;
	struct ram_extents pieces;
	uint32_t n_disks;
	struct parcel_disk *disks; /* owned: parcel_clear */
	bytes_t total;             /* of the snapshot file that the front is of */
	struct cur front;          /* what comes before its RAM checksums; borrowed */
};

/* On success *ret owns memory and borrows from the bytes. Whether the pieces fit their files and the
 * maps their disks is for those who open them. */
must_check err_t parcel_parse(struct cur in, struct diag *d, struct parcel *ret);
void parcel_encode(struct out *o, const struct parcel *p);
size_t parcel_room(const struct parcel *p); /* more than parcel_encode needs */
void parcel_clear(struct parcel *p);
/* How many descriptors go with it. */
uint32_t parcel_descriptors(const struct parcel *p);
