/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How long a character is that begins so; 0: none does. */
static size_t len_of(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return 0;
	return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* RFC 3629: neither longer than need be, nor a surrogate, nor beyond U+10FFFF. */
static bool second_fits(uint8_t first, uint8_t second)
{
	uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

	return second >= least && second <= most;
}

/* Of the character that is there whole; 0: there is none. The string's end is in no character. */
static size_t whole(const uint8_t *at)
{
	size_t n = len_of(at[0]);

	if (n > 1 && !second_fits(at[0], at[1]))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

static bool is_control(const uint8_t *at, size_t n)
{
	return n == 1 ? at[0] < 0x20 || at[0] == 0x7F : n == 2 && at[0] == 0xC2 && at[1] < 0xA0;
}

void text_clean(char *text, size_t cap)
{
	const uint8_t *from = (const uint8_t *)text;
	size_t to = 0;

	while (*from != '\0') {
		size_t n = whole(from);
		bool good = n != 0 && !is_control(from, n);
		size_t put = good ? n : 1;

		if (to + put >= cap)
			break;
		if (good)
			memmove(text + to, from, n);
		else
			text[to] = '?';
		to += put;
		from += n == 0 ? 1 : n;
	}
	text[to] = '\0';
}

void text_trim(char *text, size_t cap)
{
	size_t len = strlen(text), back = 1;

	if (len + 1 != cap)
		return;
	while (back < 4 && back < len && ((uint8_t)text[len - back] & 0xC0) == 0x80)
		back++;
	if (back <= len && len_of((uint8_t)text[len - back]) > back)
		text[len - back] = '\0';
}
