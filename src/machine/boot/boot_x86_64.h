/* SPDX-License-Identifier: Apache-2.0 */
/* How the boot processor of an x86-64 machine enters a kernel: its registers, as plain values. */
#pragma once

#include "machine/boot/boot.h"
#include "wire/state_x86_64.h"

struct boot_entry {
	struct x86_regs regs;
	struct x86_sregs sregs;
	bool is_linux; /* what the kernel calls itself; not every KVM can run it */
};
