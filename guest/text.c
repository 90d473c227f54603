/* SPDX-License-Identifier: Apache-2.0 */
/* Words, numbers and answers: see text.h. */
#include "text.h"

char *args_word(struct args *a)
{
	char *word;

	while (*a->at == ' ')
		a->at++;
	if (*a->at == '\0')
		return NULL;
	word = a->at;
	while (*a->at != '\0' && *a->at != ' ')
		a->at++;
	if (*a->at == ' ')
		*a->at++ = '\0';
	return word;
}

bool args_end(const struct args *a)
{
	const char *at = a->at;

	while (*at == ' ')
		at++;
	return *at == '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static int suffix_shift(char c)
{
	switch (c) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	}
	return 0;
}

bool text_number(const char *s, uint64_t *ret)
{
	int base = s[0] == '0' && s[1] == 'x' ? 16 : 10;
	int shift;
	uint64_t v = 0;

	if (base == 16)
		s += 2;
	if (digit_value(*s) >= base)
		return false;
	for (; digit_value(*s) < base; s++) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit_value(*s), &v))
			return false;
	}
	shift = suffix_shift(*s);
	if (shift != 0)
		s++;
	if (*s != '\0' || v << shift >> shift != v)
		return false;
	*ret = v << shift;
	return true;
}

bool args_number(struct args *a, uint64_t *ret)
{
	const char *word = args_word(a);

	return word != NULL && text_number(word, ret);
}

bool args_number_or(struct args *a, uint64_t fallback, uint64_t *ret)
{
	if (!args_end(a))
		return args_number(a, ret);
	*ret = fallback;
	return true;
}

bool text_equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const char *text_after(const char *s, const char *prefix)
{
	while (*prefix != '\0') {
		if (*s++ != *prefix++)
			return NULL;
	}
	return s;
}

void reply_clear(struct reply *r)
{
	r->len = 0;
}

static void reply_char(struct reply *r, char c)
{
	if (r->len < sizeof r->text)
		r->text[r->len++] = c;
}

void reply_text(struct reply *r, const char *s)
{
	while (*s != '\0')
		reply_char(r, *s++);
}

void reply_append(struct reply *r, const struct reply *more)
{
	for (size_t i = 0; i < more->len; i++)
		reply_char(r, more->text[i]);
}

static void reply_key(struct reply *r, const char *key)
{
	reply_char(r, ' ');
	reply_text(r, key);
	reply_char(r, '=');
}

void reply_word(struct reply *r, const char *key, const char *value)
{
	reply_key(r, key);
	reply_text(r, value);
}

void reply_dec(struct reply *r, const char *key, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	reply_key(r, key);
	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	while (n > 0)
		reply_char(r, digits[--n]);
}

void reply_hex(struct reply *r, const char *key, uint64_t v)
{
	int shift = 60;

	reply_key(r, key);
	reply_text(r, "0x");
	while (shift > 0 && v >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		reply_char(r, "0123456789abcdef"[v >> shift & 15]);
}

void reply_bytes(struct reply *r, const char *key, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	reply_key(r, key);
	for (size_t i = 0; i < n; i++) {
		reply_char(r, "0123456789abcdef"[at[i] >> 4]);
		reply_char(r, "0123456789abcdef"[at[i] & 15]);
	}
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);
	for (size_t i = n; i-- > 0;)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}
