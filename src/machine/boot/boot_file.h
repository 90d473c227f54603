/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a boot needs, read whole. They may change at any moment. */
#pragma once

#include "base/own.h"
#include "machine/boot/boot.h"

#define BOOT_KERNEL_MAX GIB(1)

/* A private copy of a kernel. Only regular files of 1 byte to BOOT_KERNEL_MAX. */
must_check err_t boot_kernel_read(const struct boot_file *f, struct diag *d, map_t *ret);

/* Reads an initrd to the highest place in [lowest, end) of `ram` that begins on a page.
 * ERR_SIZE when it does not fit. */
must_check err_t boot_initrd_read(const struct boot_file *f, const struct gmem *ram, gpa_t lowest,
				  gpa_t end, struct diag *d, gpa_t *ret_at, bytes_t *ret_len);
