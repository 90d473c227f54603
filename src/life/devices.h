/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of one machine and their wiring: who answers which window, which eventfd wakes whom,
 * which raises what. Made held; every call that needs them held says so. Inside life/ only. */
#pragma once

#include "machine/disk/disk.h"
#include "machine/ram/gmem.h"
#include "machine/serial/power_ports.h"
#include "machine/vcpu/quiesced.h"
#include "plan/config.h"
#include "plan/image.h"

struct devices;
struct vm_options;
struct restore_options;
struct disk_store;
struct layer_files;

/* What all devices of a machine are wired to. Borrowed: it outlives them. */
struct devices_wires {
	int vm;
	const struct topology *topology;
	const struct gmem *mem;
	const struct vm_options *options;
};

struct vm;
struct devices_wires vm_wires(const struct vm *vm);

/* Every slot of the topology with its wires, and nothing in it yet: what a shell has.
 * Then one of the next three, once; after a failure of theirs it can only be freed. */
must_check err_t devices_new(const struct devices_wires *w, struct diag *d,
			     struct devices **ret_devices);
/* Fresh devices for a configuration; disks are opened and locked. */
must_check err_t devices_boot(struct devices *v, const struct config *c, struct diag *d);
/* Devices as an image has them. Copies of disks lie beside `snapshot_path`. */
must_check err_t devices_restore(struct devices *v, const struct image *i,
				 const char *snapshot_path, const struct restore_options *r,
				 struct diag *d);
/* The same over the disks of a zygote, by slot; layers are taken. */
struct spawn_disk {
	struct disk_base *base; /* borrowed; NULL: no disk */
	fd_t layer;             /* a new file without a name, for a private layer */
	struct layer_files *home; /* borrowed: where that goes in the end; NULL: it is closed */
};
must_check err_t devices_spawn(struct devices *v, const struct image *i, struct spawn_disk *disks,
			       struct diag *d);
/* The disks that an image names, opened, compared and locked, by slot: for a zygote, or only to see
 * whether they are there. After a failure some may be open. */
must_check err_t devices_open_disks(const struct image *i, const char *snapshot_path,
				    struct diag *d,
				    struct disk_base *ret_bases[static SHAPE_DEVICES_MAX]);
void devices_free(struct devices *v); /* accepts NULL */

/* The threads of all of them: of a shell, that nobody waits for. Others start theirs with a driver. */
must_check err_t devices_start(struct devices *v, struct diag *d);

/* Returns once no device touches guest memory or a disk: how many requests were in flight when it
 * was called. Requests not yet taken stay in the ring. The vCPUs have stopped. */
uint32_t devices_hold(struct devices *v);
/* Held, and started: the devices' threads take their filters, and end with the process. */
must_check err_t devices_confine(struct devices *v, struct diag *d);
/* Goes on: every queue is looked at once, every pending interrupt raised again. */
void devices_release(struct devices *v);

/* True when somebody answers at that address. */
must_check bool devices_mmio(struct devices *v, gpa_t at, uint8_t *data, uint32_t len, bool write);
/* A byte-wide access to the serial port; reg is below SERIAL_REGISTERS. */
uint8_t devices_serial_read(struct devices *v, unsigned reg);
void devices_serial_write(struct devices *v, unsigned reg, uint8_t value);
size_t devices_console_input(struct devices *v, const uint8_t *bytes, size_t n);

/* Held only. *ret owns memory. `store`: as virtio_save. */
must_check err_t devices_save(const struct devices *v, struct quiesced q, uint32_t slot,
			      const struct disk_store *store, struct diag *d,
			      struct device_state *ret);
void devices_save_serial(const struct devices *v, struct quiesced q, struct serial_state *ret);
/* The disk in that slot; NULL: it holds none. */
struct disk *devices_disk(struct devices *v, struct quiesced q, uint32_t slot);
/* Does the disk in that slot have a layer that exists nowhere else, or is it written in place?
 * DISK_RO where it is neither, or no disk. */
struct disk_use { enum disk_mode mode; bool layered; bytes_t capacity; };
struct disk_use devices_disk_use(const struct devices *v, uint32_t slot);

/* A new generation id in guest memory; with `notify`, its interrupt goes out with the next
 * devices_release. */
must_check err_t devices_renew_generation(struct devices *v, bool notify, struct diag *d);
