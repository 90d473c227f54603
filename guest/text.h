/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines taken apart, answers put together. Both are bounded: a line that
 * is too long is cut, an answer that is too long loses its end.
 */
#ifndef TGUEST_TEXT_H
#define TGUEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAX 512

/* What is left of a command line; words are cut off it in place. */
struct args {
	char *at;
};

/* The next word, or NULL at the end. */
char *args_word(struct args *a);
/* The next word as a number: decimal or 0x hex, with an optional K, M or G. */
bool args_number(struct args *a, uint64_t *ret);
/* The same, or the fallback where the line has ended; false on a bad number. */
bool args_number_or(struct args *a, uint64_t fallback, uint64_t *ret);
bool args_end(const struct args *a);

bool text_equal(const char *a, const char *b);
/* What follows prefix, or NULL where s does not begin with it. */
const char *text_after(const char *s, const char *prefix);
bool text_number(const char *s, uint64_t *ret);

struct reply {
	char text[LINE_MAX];
	size_t len;
};

void reply_clear(struct reply *r);
void reply_text(struct reply *r, const char *s);
void reply_append(struct reply *r, const struct reply *more);
/* " key=value" */
void reply_word(struct reply *r, const char *key, const char *value);
void reply_dec(struct reply *r, const char *key, uint64_t v);
void reply_hex(struct reply *r, const char *key, uint64_t v);
/* " key=" and the bytes, two digits each */
void reply_bytes(struct reply *r, const char *key, const void *bytes, size_t n);

/* The compiler may call these four whatever it is told. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
