/* SPDX-License-Identifier: Apache-2.0 */
/* err_t and struct diag inside become a status and a struct spore_error outside. */
#pragma once

#include <spore.h>

#include "base/diag.h"

/* Gives *err (may be NULL) what went wrong and returns the status; on success *err stays as it
 * was. A cause without a sentence gets the code's text. */
int error_give(err_t e, const struct diag *d, struct spore_error *err);
/* The way back, for an error that came from another process or through spore.h. Fields in `d` point
 * into *err. */
err_t error_take(int status, const struct spore_error *err, struct diag *d);

/* Copies a caller's option structure of `given` bytes (its first member) onto *ret, which holds the
 * defaults. ERR_USAGE when it is smaller than `least` or has unknown bytes that are not zero. */
err_t options_take(const void *options, size_t least, size_t known, void *ret, const char *what,
		   struct diag *d);
/* Unknown flags and reserved words that are not zero: ERR_USAGE. */
err_t options_check(uint32_t flags, uint32_t known, const uint64_t reserved[8], const char *what,
		    struct diag *d);
