/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machine generation id: 16 random bytes in the guest's memory, new for each machine
 * and each restored copy of one, so that the guest knows that its entropy is shared. */
#pragma once

#include "machine/ram/gmem.h"

/* Writes a new id. On a restored machine the caller then raises the device's interrupt, after the
 * interrupt chips were loaded. */
must_check err_t vmgenid_renew(const struct gmem *m);
