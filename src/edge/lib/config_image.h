/* SPDX-License-Identifier: Apache-2.0 */
/* What a restored or spawned machine is: the configuration document that its image tells of. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "plan/image.h"

/* Files that disks were given instead of the image's; mode 0: as the image has it. */
struct config_disks { size_t n; const struct spore_identity_disk *disk; };
must_check err_t config_doc_of_image(const struct image *i, const struct config_disks *given,
				     struct diag *d, json_t **ret_doc);
/* `name`, or the image's when that is NULL. */
void config_image_name(const struct image *i, const char *name, char *ret, size_t cap);
