/* SPDX-License-Identifier: Apache-2.0 */
/* The durable layout of a zygote and nothing else of it: a machine of the same shape, processors and
 * devices in which nothing has happened yet. It is what shells are made for, and all that a worker is
 * given before it is confined. */
#pragma once

#include "life/capture.h"
#include "plan/image.h"

must_check err_t blank_of(const struct image *like, struct diag *d, struct capture_front *ret);
