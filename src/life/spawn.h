/* SPDX-License-Identifier: Apache-2.0 */
/* Shells: machines that are ready but for memory and registers. They hold what is the same for all
 * zygotes of one durable layout: memory slots on reserved addresses, chips, vCPUs and their threads
 * (parked, their CPUID set), the eventfds of the wake map and the devices' threads. */
#pragma once

#include "life/vm.h"
#include "life/zygote.h"

/* For zygotes like this one. */
must_check err_t shell_make(const struct zygote *like, struct diag *d, vm_shell **ret_shell);
/* The threads of its vCPUs and devices take their filters; the caller takes its own afterwards
 * (machine/jail/filter.h). Neither it nor what it becomes is freed from then on: it ends with the
 * process. */
/* syscalls(control): exit_group */
must_check err_t shell_confine(vm_shell *s, struct diag *d);
/* Is the zygote's durable layout the shell's? ERR_TOPOLOGY or ERR_CPU_FEATURE naming the first thing
 * that differs: vCPUs, RAM, a device, CPUID, TSC frequency. */
must_check err_t shell_fits(const vm_shell *s, const struct zygote *z, struct diag *d);
