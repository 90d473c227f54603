/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel and what it is told go into fresh guest memory; how the boot processor enters it comes
 * out. Nothing here knows KVM.
 *
 * Files are hostile. A kernel is copied into private memory before it is judged; an initrd is
 * never looked at. On failure guest memory holds an unspecified part of them: the machine is to
 * be thrown away. */
#pragma once

#include "machine/ram/gmem.h"
#include "plan/config.h"

struct boot_file {
	int fd;           /* borrowed; read from its start, whatever its position. -1: none */
	const char *name; /* for messages */
};

struct boot_request {
	struct boot_file kernel, initrd;
	const char *cmdline;
	enum boot_method method;
};

/* How the boot processor enters the kernel: boot_<arch>.h. The others wait to be woken. */
struct boot_entry;

/* `ram` is that machine's and reads as zero: pages of a kernel that are zero are left alone, so
 * that they take no memory. The ACPI tables are written too; the generation id is not. */
must_check err_t boot_load(const struct geometry *g, const struct gmem *ram,
			   const struct boot_request *in, struct diag *d, struct boot_entry *ret);
