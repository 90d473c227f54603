/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <spore.h>

#include "life/vm.h"

struct spore_timings timings_of(const struct phase_times *t);
