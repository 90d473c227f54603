/* SPDX-License-Identifier: Apache-2.0 */
/* bytes -> image: everything of a snapshot file but its RAM, judged and in private memory.
 *
 * The order is the security argument: checksums first, then a bounded parse into private copies,
 * then the topology and the geometry are made anew by their only makers and everything the file
 * says of them must be equal. A `const struct image *` is the proof of all that; nothing after it
 * reparses. Pure: the caller did the reading (life/snapshot_file.c). */
#pragma once

#include "plan/geometry.h"
#include "wire/sections.h"
#include "wire/snap_head.h"

struct image;

/* How many bytes of the file image_parse wants: everything before the RAM checksums. `first` is
 * the start of the file, at least the header page and the table (8 KiB hold the largest) unless
 * the file ends earlier. The answer is bounded by the file's length and by what its sections may
 * hold together, so it may be allocated. */
must_check err_t image_extent(struct cur first, foff_t file_len, struct diag *d,
			      bytes_t *ret_need);
/* `meta` is that many bytes; nothing of it is borrowed. `file_len` is what the file really has: RAM
 * ends exactly there. On failure *d names section and field, and the offset in the file. */
must_check err_t image_parse(struct cur meta, foff_t file_len, struct diag *d,
			     const struct image **ret_image);
/* One more reference to the same image, and one less; it goes with the last. Any thread. Accepts
 * NULL. */
const struct image *image_again(const struct image *i);
void image_free(const struct image *i);

const struct snap_head *image_head(const struct image *i);
const struct geometry *image_geometry(const struct image *i);
const struct snap_row *image_row(const struct image *i, enum sect_kind kind, uint32_t index);
uint32_t image_rows(const struct image *i);
const struct snap_row *image_row_at(const struct image *i, uint32_t n);
const struct inventory *image_inventory(const struct image *i);
const struct machine_note *image_note(const struct image *i);
const struct vcpu_x86_64 *image_vcpu(const struct image *i, vcpu_id id);
const struct irqchip_x86_64 *image_irqchip(const struct image *i);
const struct clock_x86_64 *image_clock(const struct image *i);
const struct device_state *image_device(const struct image *i, slot_id slot);
const struct serial_state *image_serial(const struct image *i);
const struct ram_map *image_ram_map(const struct image *i);
