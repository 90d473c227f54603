/* SPDX-License-Identifier: Apache-2.0 */
/* What every cmocka test begins with: cmocka.h wants these headers before it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
