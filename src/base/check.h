/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler words: attributes and compile-time helpers, nothing else. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define countof(a) (sizeof(a) / sizeof((a)[0]))

/* Ends a function whose switch names every member of a closed set: reached only if an enum holds
 * a number that its parser never lets through. */
#define unreachable_by_type() __builtin_trap()
