/* SPDX-License-Identifier: Apache-2.0 */
/* What the list of machines needs of remote.c. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "base/diag.h"

/* GET /spore/status of a named machine, or an error when it has not answered in time. */
must_check err_t remote_status(const char *name, long timeout_ms, struct diag *d,
			       json_t **ret_status);
