/* SPDX-License-Identifier: Apache-2.0 */
/* A running machine is branched: what it is at one instant becomes a zygote, and it goes on as a child
 * of that. It stands still for as long as it takes to save its registers and devices and to put its
 * memory and disks aside; everything that grows with their size is done before and after.
 *
 * vm_branch (flow.h): on failure there is no zygote, and the machine goes on, if it can: its outcome says
 * whether. The zygote is settled. */
#pragma once

#include "life/zygote.h"
#include "machine/ram/ram_branch.h"

/* What a process that can open nothing brings with it; NULL where it is asked for: it is opened. */
struct branch_means {
	struct ram_branch_means ram;
	fd_t *layers; /* a file for each disk that is not read-only, in slot order; taken */
	fd_t *merged; /* and another, in case that its layers have to be merged */
	uint32_t n_layers; /* of each */
};

struct branch_times {
	uint64_t prepare_ns;
	uint64_t pause_ns; /* from when the last vCPU was told to stop to when they were told to go on */
	uint64_t finish_ns;
};
