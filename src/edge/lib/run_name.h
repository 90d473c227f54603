/* SPDX-License-Identifier: Apache-2.0 */
/* Names for machines that were given none. */
#pragma once

#include <stddef.h>

/* Two short words with a dash; from the 32nd attempt on with a number behind them. */
void run_name_make(unsigned attempt, char *ret, size_t cap);
