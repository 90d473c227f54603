/* SPDX-License-Identifier: Apache-2.0 */
/* The one object behind vm_built, vm_running and vm_paused. Inside life/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/own.h"
#include "life/vm.h"
#include "life/zygote.h"
#include "machine/ram/ram.h"
#include "machine/vcpu/vcpus.h"
#include "plan/config.h"
#include "plan/geometry.h"
#include "wire/sections.h"
#include "wire/snap_head.h"

struct arch_host;
struct disk_base;
struct devices;
struct serial;
struct image;
struct layer_files;

struct vm {
	const struct geometry *geo;  /* owned */
	struct machine_note note;
	uint8_t machine_id[SNAP_ID_LEN];
	uint64_t generation;
	struct vm_options options;

	fd_t kvm, fd;                /* /dev/kvm, the VM */
	struct arch_host *host;
	struct ram *ram;
	struct vcpus *vcpus;
	struct devices *devices;     /* virtio slots, serial port, VMGenID's interrupt */
	struct phase_times times;    /* of the boot or the restore */

	/* A restored or spawned machine, until it first runs: what counts in host time is loaded
	 * then. */
	const struct image *time_due; /* a reference */
	enum clock_policy clock;
	struct disk_base *below[SHAPE_DEVICES_MAX]; /* of a branched machine: what its disks lie over, by
						     * slot; references */
	struct zygote_id parent;     /* of a spawned machine: what it was spawned from */
	fd_t layer[SHAPE_DEVICES_MAX]; /* of a shell: files for private layers, by slot */
	struct layer_files *layers; /* of a shell: where those came from; a reference, or NULL */
	bool entry_timed, exit_timed; /* times has its last two rows */
	bool confined;               /* its threads cannot end but with the process */
	bool exit_told;              /* the boot processor's thread alone */
	uint32_t in_flight;          /* requests that the last pause had to wait for */

	/* How it ended: written once, by whoever ends it first. */
	pthread_mutex_t end_lock;
	enum vm_outcome outcome;
	struct diag why;
	fd_t ended;                  /* eventfd: readable once outcome is set */
	fd_t watch;                  /* inotify on the file behind RAM, or FD_NONE */
	fd_t events;                 /* epoll over both, or FD_NONE: there is no watch */
};

must_check err_t vm_alloc(const struct geometry *g, const struct vm_options *o, struct diag *d,
			  struct vm **ret_vm);
void vm_free(struct vm *vm); /* accepts NULL and half-built */
/* Any thread; the first call counts. */
void vm_end(struct vm *vm, enum vm_outcome outcome, const char *why_fmt, ...) printf_like(3, 4);

/* The VM around its RAM (which is there already, or its addresses are): /dev/kvm, slots, chips and
 * vCPUs, in the order KVM wants. */
struct stopwatch;
must_check err_t vm_create(struct vm *vm, struct stopwatch *w, struct diag *d);
/* The same for a machine that is like that one: its processors and the slots of its devices too. */
must_check err_t vm_assemble(struct vm *vm, const struct image *like, struct stopwatch *w,
			     struct diag *d);

/* The exit handler of every vCPU (life/bus.c). */
bool vm_on_exit(void *ctx, vcpu_id id, const struct vcpu_exit *exit);

/* Loads what counts in host time, if that is still due. */
must_check err_t vm_settle_time(struct vm *vm, struct diag *d);
/* Ends the machine, some time, when somebody else writes to the file behind its RAM. */
must_check err_t vm_watch_file(struct vm *vm, const char *path, int file, struct diag *d);
