/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder and one encoder per section kind. A decoder gets a cursor that is exactly the
 * section and leaves no byte over. Its value is written to only on success, but for the large ones
 * (vCPU, device and machine note), which are parsed in place: those want *ret zeroed, and after a
 * failure it means nothing and owns nothing. A failure names section and field in *d, with the offset counted
 * from the start of the section.
 *
 * What a decoder accepts, its encoder writes back byte for byte. An encoder given a value that its
 * decoder would refuse writes bytes that will be refused, never bytes that mean something else. */
#pragma once

#include "base/bytes.h"
#include "wire/device_state.h"
#include "wire/state_x86_64.h"

/* What a machine needs of a host, compared before anything is built. */
enum { INVENTORY_CAPS_MAX = 64 };
struct inventory {
	uint32_t xsave_size;              /* what KVM reported there */
	uint32_t n_caps;
	uint32_t caps[INVENTORY_CAPS_MAX]; /* KVM_CAP_* numbers, ascending */
	uint32_t tsc_khz;
	char cpu_vendor[13], cpu_model[49]; /* of the host that wrote it: for people */
};

/* How the machine was made: for GET /vm/config and for people; never used to build it again. */
struct machine_note {
	char name[65];
	char kernel[DEVICE_PATH_MAX], initrd[DEVICE_PATH_MAX]; /* initrd "": none */
	char cmdline[2048];
	uint32_t boot_method; /* 0 automatic, 1 PVH, 2 64-bit, 3 bzImage */
};
enum { MACHINE_NOTE_BOOT_MAX = 3 };

/* A slot as the file states it; compared with the planned one. */
struct topology_row {
	uint32_t kind, queues, slot, gsi, first_wake;
	uint64_t mmio, mmio_len, notify;
};
struct topology_section {
	uint32_t vcpus;
	uint32_t n;
	struct topology_row rows[SHAPE_DEVICES_MAX];
};

enum { RAM_MAP_BLOCK = 65536 };

/* Which 64 KiB blocks hold data. `bits` borrows from the section's bytes. */
struct ram_map {
	uint64_t blocks;
	uint64_t present;    /* bits set */
	const uint8_t *bits; /* (blocks + 7) / 8 bytes, bit i of byte i/8; spare bits zero */
};

must_check err_t inventory_parse(struct cur in, struct diag *d, struct inventory *ret);
void inventory_encode(struct out *o, const struct inventory *v);
must_check err_t topology_section_parse(struct cur in, struct diag *d, struct topology_section *ret);
void topology_section_encode(struct out *o, const struct topology_section *v);
must_check err_t machine_note_parse(struct cur in, struct diag *d, struct machine_note *ret);
void machine_note_encode(struct out *o, const struct machine_note *v);
must_check err_t vcpu_x86_64_parse(struct cur in, struct diag *d, struct vcpu_x86_64 *ret);
void vcpu_x86_64_encode(struct out *o, const struct vcpu_x86_64 *v);
must_check err_t irqchip_x86_64_parse(struct cur in, struct diag *d, struct irqchip_x86_64 *ret);
void irqchip_x86_64_encode(struct out *o, const struct irqchip_x86_64 *v);
must_check err_t clock_x86_64_parse(struct cur in, struct diag *d, struct clock_x86_64 *ret);
void clock_x86_64_encode(struct out *o, const struct clock_x86_64 *v);
/* On success *ret owns memory: device_state_clear. */
must_check err_t device_state_parse(struct cur in, struct diag *d, struct device_state *ret);
void device_state_encode(struct out *o, const struct device_state *v);
must_check err_t serial_state_parse(struct cur in, struct diag *d, struct serial_state *ret);
void serial_state_encode(struct out *o, const struct serial_state *v);
/* `ram` is the header's: block size, count, reserved fields and section size are all checked
 * against it before the bitmap is lent. */
must_check err_t ram_map_parse(struct cur in, bytes_t ram, struct diag *d, struct ram_map *ret);
void ram_map_encode(struct out *o, const struct ram_map *v);
/* The section of block checksums is exactly present * 8 bytes: one CRC-64 per present block. */

/* CRC-64/ECMA-182: polynomial 0x42F0E1EBA9EA3693, init 0, no reflection, no final xor. */
uint64_t crc64(const void *bytes, size_t n);
/* The same continued: crc64_more(crc64(a), b) == crc64(a followed by b). */
uint64_t crc64_more(uint64_t crc, const void *bytes, size_t n);
