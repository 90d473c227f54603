/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, between processes: Firecracker's shape, and beside it what a program can use without
 * reading the sentence. */
#pragma once

#include <jansson.h>

#include "base/diag.h"

json_t *fault_json(err_t e, const struct diag *d);
/* Always a failure: what the document states, or ERR_REMOTE with `otherwise` when it states nothing.
 * Words in *d live until the next call on this thread. */
err_t fault_read(const json_t *fault, const char *otherwise, struct diag *d);
