/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people type them. */
#pragma once

#include "base/diag.h"
#include "base/units.h"

/* Digits, then nothing (bytes) or one of K, M, G, T in either case, or KiB, MiB, GiB, TiB: powers
 * of 1024. No sign, no fraction, no blank, no thousand-based unit. ERR_USAGE with the sentence in
 * *d. */
must_check err_t size_parse(const char *text, struct diag *d, bytes_t *ret_size);
