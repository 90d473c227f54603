/* SPDX-License-Identifier: Apache-2.0 */
/* Shells: machines that are ready but for memory and registers. They hold what is the same for all
 * zygotes of one durable layout: memory slots on reserved addresses, chips, vCPUs and their threads
 * (parked, their CPUID set), the eventfds of the wake map and the devices' threads. */
#pragma once

#include "base/own.h"
#include "life/vm.h"
#include "life/zygote.h"

/* What a process that can open nothing later brings with it; both are taken. FD_NONE: they are opened
 * where they are needed. */
struct layer_files;
struct shell_options {
	fd_t kvm;      /* /dev/kvm */
	fd_t page_map; /* /proc/self/pagemap */
	struct layer_files *layers; /* where files for the disks' private layers come from, now, and go in
				     * the end; borrowed; NULL: they are given */
};

/* For zygotes of this durable layout (life/blank.h). */
must_check err_t shell_make(const struct image *like, struct shell_options *o, struct diag *d,
			    vm_shell **ret_shell);
/* Files for private layers, one for each disk, in slot order; taken. */
must_check err_t shell_give_layers(vm_shell *s, fd_t *files, uint32_t n, struct diag *d);
/* The threads of its vCPUs and devices take their filters; the caller takes its own afterwards
 * (machine/jail/filter.h). Neither it nor what it becomes is freed from then on: it ends with the
 * process. */
/* syscalls(control): exit_group */
must_check err_t shell_confine(vm_shell *s, struct diag *d);
/* Is the zygote's durable layout the shell's? ERR_TOPOLOGY or ERR_CPU_FEATURE naming the first thing
 * that differs: vCPUs, RAM, a device, CPUID, TSC frequency. */
must_check err_t shell_fits(const vm_shell *s, const struct zygote *z, struct diag *d);
/* The same question where there is no shell: would those made like that image do? */
must_check err_t layouts_fit(const struct image *have, const struct zygote *z, struct diag *d);

/* A spawned machine that has not run is told only now who it is and who listens to it. Its disks are
 * those of its zygote already: `id` names none. */
void vm_claim(vm_paused *armed, const struct identity *id, const struct vm_options *o);
