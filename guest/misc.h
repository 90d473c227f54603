/* SPDX-License-Identifier: Apache-2.0 */
/* The secret that a machine keeps in its RAM. */
#ifndef TGUEST_MISC_H
#define TGUEST_MISC_H

#include <stdint.h>

/* pattern(secret, nonce). */
uint64_t secret_mix(uint64_t nonce);

#endif
