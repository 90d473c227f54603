/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote without a machine: the state of a made-up one, memory that is nearly empty, and disks, one
 * of them with a layer that somebody has written. In the working directory. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "life/zygote_parts.h"
#include "support/place.h"
#include "support/sample.h"
#include "support/test.h"

enum { COW_SLOT = 2, LAYER_BYTES = 65536 };

static void must(err_t e, const struct diag *d)
{
	if (failed(e))
		fail_msg("%s (%s)", d->text, err_name(e.code));
}

static struct ram_base *ram_of(bytes_t size)
{
	struct diag d = DIAG_INIT;
	struct ram_base *b = NULL;
	fd_t memfd = FD_NONE;

	must(ram_memfd_new(size, &d, &memfd), &d);
	assert_int_equal(pwrite(memfd.raw, "begin", 5, 0), 5);
	assert_int_equal(pwrite(memfd.raw, "end", 3, (off_t)size.v - 3), 3);
	must(ram_base_of_filled(&memfd, size, &d, &b), &d);
	return b;
}

/* A disk that somebody has written to and handed down. */
static struct disk_base *layered(struct disk_base *below)
{
	static uint8_t bytes[LAYER_BYTES];
	struct iovec iov = { bytes, sizeof bytes };
	struct disk_base *b = NULL;
	struct diag d = DIAG_INIT;
	struct disk *k = NULL;
	fd_t file = FD_NONE;

	must(layer_file_new(".", disk_base_capacity(below), &d, &file), &d);
	must(disk_over(below, &file, &d, &k), &d);
	must(disk_write(k, FOFF(0), &iov, 1), &d);
	must(disk_share(k, &d, &b), &d);
	disk_hand_down(k, b);
	disk_free(k);
	disk_base_free(below);
	return b;
}

static struct disk_base *disk_of(uint32_t slot, const struct blk_state *s)
{
	struct disk_base *b = NULL;
	struct diag d = DIAG_INIT;
	char name[32];

	(void)snprintf(name, sizeof name, "disk%u.img", slot);
	place_make_disk(name, s->capacity.v, slot, 0);
	must(disk_base_open(name, s->mode, s->capacity, &d, &b), &d);
	return slot == COW_SLOT ? layered(b) : b;
}

static struct zygote *zygote_of_kind(unsigned kind)
{
	struct sample *s = sample_new(kind, 3);
	struct diag d = DIAG_INIT;
	struct zygote *z = NULL;
	uint8_t *bytes = NULL;
	foff_t ram = FOFF(0);
	size_t len;

	assert_non_null(s);
	must(image_encode(s->geometry, &s->parts, &d, &bytes, &len), &d);
	must(image_ram_offset(s->geometry, &s->parts, &d, &ram), &d);
	/* What comes before the checksums of RAM. */
	len -= (size_t)s->ram_map.present * sizeof s->ram_sums[0];
	must(zygote_of_front(&bytes, len, BYTES(ram.v + geometry_ram(s->geometry).v), &d, &z), &d);
	z->ram = ram_of(geometry_ram(s->geometry));
	for (uint32_t i = 0; i < topology_slots(geometry_topology(s->geometry)); i++)
		if (s->devices[i].kind == DEV_BLK)
			z->disks[i] = disk_of(i, &s->devices[i].blk);
	sample_free(s);
	return z;
}

/* Disks of every mode. */
static struct zygote *zygote_new(void)
{
	return zygote_of_kind(1);
}
