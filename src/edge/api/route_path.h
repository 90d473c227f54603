/* SPDX-License-Identifier: Apache-2.0 */
/* What all tables of routes share: paths, and whether there is to be a body. */
#pragma once

#include <jansson.h>

#include "base/diag.h"

enum { PATH_MAX_HERE = 512, PATH_ID_MAX = 256 };

/* One slash at the beginning, none at the end. */
void path_trim(const char *path, char ret[static PATH_MAX_HERE]);
/* Does the trimmed path match? *ret_id is the segment that stands where the route has "{id}", else "". */
bool path_matches(const char *route, const char *path, char ret_id[static PATH_ID_MAX]);

/* The body, NULL when there is none: `may` it be left out? */
must_check err_t body_read(const char *method, bool may, const char *text, size_t len,
			   struct diag *d, json_t **ret);
