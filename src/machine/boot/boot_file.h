/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a boot needs. They may change at any moment: what is judged is a copy. */
#pragma once

#include "base/own.h"
#include "machine/boot/boot.h"

#define BOOT_KERNEL_MAX GIB(1)

/* Only regular files of 1 byte to BOOT_KERNEL_MAX can be a kernel. */
must_check err_t boot_kernel_len(const struct boot_file *f, struct diag *d, bytes_t *ret);

/* Fresh memory that is about to be filled: long stretches are populated in one call instead of with
 * a fault per page (where Linux can, since 5.14). */
void boot_populate(const struct iovec *iov, size_t n);

/* The n bytes from `at` on, all of them. */
must_check err_t boot_file_read(const struct boot_file *f, uint64_t at, void *ret, size_t n,
				struct diag *d);
/* The first `len` bytes in memory of their own. */
must_check err_t boot_file_copy(const struct boot_file *f, bytes_t len, struct diag *d, map_t *ret);

/* Reads an initrd to the highest place in [lowest, end) of `ram` that begins on a page.
 * ERR_SIZE when it does not fit. */
must_check err_t boot_initrd_read(const struct boot_file *f, const struct gmem *ram, gpa_t lowest,
				  gpa_t end, struct diag *d, gpa_t *ret_at, bytes_t *ret_len);
