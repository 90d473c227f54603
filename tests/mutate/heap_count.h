/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes were asked of the heap since the count was started: linked with the allocator's
 * entry points wrapped (tests/mutate/meson.build). */
#pragma once

#include <stdint.h>

void heap_count_start(void);
uint64_t heap_counted(void);
