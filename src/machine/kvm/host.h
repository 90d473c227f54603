/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do, for `spore doctor`: one row per thing looked at, each with a judgement and
 * what to do about it. A host that lacks something is a row, never an error; nothing is built and
 * nothing on the host is changed.
 *
 * Rows, in this order (names are part of the JSON that people's scripts read):
 *   kvm               /dev/kvm is there, or why not
 *   kvm-access        it can be opened; else who may, and how to be let in
 *   kvm-kind          hardware (vmx, svm) or software (a module such as kvm_pvm, or a hypervisor
 *                     that offers none)
 *   kvm-api           KVM_GET_API_VERSION is 12
 *   cap-NAME          one per needed capability, in lower case with dashes: cap-xsave2 ...
 *   tsc-offset        an offset that was set is read back and moves the guest's TSC
 *   nx-huge-pages     /sys/module/kvm/parameters/nx_huge_pages slows VM creation unless "never"
 *   cgroup-favordynmods  cgroup2 mount option: without it, moving KVM's worker waits for RCU
 *   memory            RAM that is free, and whether overcommit would refuse a large machine
 * and, of machine/jail/jail.h, what a worker could be confined by:
 *   jail-WORD         one per wall: jail-userns ... jail-seccomp
 * Any thread. */
#pragma once

#include "base/diag.h"

enum host_level {
	HOST_OK = 0,
	HOST_WARN = 1, /* works, but slower or with less */
	HOST_FAIL = 2, /* no machine can run, or none of some kind: `advice` says which */
};

enum host_kvm { HOST_KVM_NONE, HOST_KVM_HARDWARE, HOST_KVM_SOFTWARE };

enum { HOST_ROWS_MAX = 64 };

struct host_row {
	char name[40];
	enum host_level level;
	char value[120];  /* what was found: "hardware (svm)" */
	char advice[280]; /* one sentence; "" when there is nothing to do */
};

struct host_report {
	enum host_kvm kvm;
	uint32_t n;
	struct host_row rows[HOST_ROWS_MAX];
};

/* Reads /sys/module only. */
enum host_kvm host_kvm_kind(void);

void host_probe(struct host_report *ret_report);

/* One more row; a report that is full loses it. `advice` may be "". */
void host_row_add(struct host_report *io_report, const char *name, enum host_level level,
		  const char *advice, const char *value_fmt, ...) printf_like(5, 6);
