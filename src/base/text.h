/* SPDX-License-Identifier: Apache-2.0 */
/* Text of somebody who is not trusted, for people, their terminals and JSON. */
#pragma once

#include <stddef.h>

/* In place: each control character (C0, DEL and C1) and each byte that is no UTF-8 becomes a '?', and what is
 * left is cut between two characters, so that it takes `cap` bytes with its end. */
void text_clean(char *text, size_t cap);

/* What was cut at the end of a buffer of `cap` bytes loses a character of which only the beginning is there. */
void text_trim(char *text, size_t cap);
