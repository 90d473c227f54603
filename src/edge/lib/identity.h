/* SPDX-License-Identifier: Apache-2.0 */
/* What callers say a child shall be, judged: by itself, against the machine that it is to be a child
 * of, and against its siblings. */
#pragma once

#include <spore.h>

#include "life/zygote.h"
#include "plan/image.h"

/* A caller's structure (NULL: none) over the defaults in *ret, whose strings stay the caller's. */
must_check err_t identity_take(const struct spore_identity *given, struct spore_identity *ret,
			       struct diag *d);

/* The same as life/ wants it; borrows from what it was made of, and from itself. */
struct identity_given {
	struct identity identity;
	struct identity_disk disks[SPORE_DISKS_MAX];
};
/* ERR_USAGE naming the device that the machine has not. */
must_check err_t identity_for(const struct spore_identity *s, const struct image *machine,
			      struct identity_given *ret, struct diag *d);

/* Would any two of them have something that only one can have? ERR_USAGE naming both. Files are told
 * apart by what they are, not by their names; one that is not there is nobody's. */
must_check err_t identities_compare(const struct spore_identity *all, size_t n, struct diag *d);
