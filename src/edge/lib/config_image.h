/* SPDX-License-Identifier: Apache-2.0 */
/* What a restored machine is: the configuration document that its snapshot tells of. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "plan/image.h"

must_check err_t config_doc_of_image(const struct image *i, const struct spore_restore_options *o,
				     struct diag *d, json_t **ret_doc);
/* `name`, or the snapshot's when that is NULL. */
void config_image_name(const struct image *i, const char *name, char *ret, size_t cap);
