/* SPDX-License-Identifier: Apache-2.0 */
/* The rule that planning and checking share; for plan/topology*.c only. */
#pragma once

#include "base/diag.h"
#include "wire/shape.h"

/* Does the kind exist, and may it have that many queues? `i` is the row, for the sentence.
 * ERR_TOPOLOGY, field "kind" or "queues". */
must_check err_t slot_kind_check(uint32_t i, enum dev_kind kind, uint32_t queues, struct diag *d);
