/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON objects, by tables: doubled keys, unknown keys, wrong types and numbers
 * out of range are refused with one sentence that names the key. Syntax is jansson's business;
 * the text is hostile, its length is the caller's to bound. */
#pragma once

#include <jansson.h>

#include "base/diag.h"

enum json_want {
	JSON_WANT_STRING, /* const char **, borrowed from the document */
	JSON_WANT_BOOL,   /* bool * */
	JSON_WANT_UINT,   /* uint64_t *, least..most */
	JSON_WANT_WORD,   /* uint32_t *, index into words */
	JSON_WANT_OBJECT, /* const json_t ** */
	JSON_WANT_ARRAY,  /* const json_t ** */
};

enum {
	JSON_REQUIRED = 1,
	JSON_NULLABLE = 2, /* null counts as absent */
};

struct json_field {
	const char *key;
	enum json_want want;
	unsigned flags;
	void *ret;                /* left alone when the key is absent */
	uint64_t least, most;     /* JSON_WANT_UINT */
	const char *const *words; /* JSON_WANT_WORD, NULL-terminated */
	bool *ret_given;          /* may be NULL */
};

/* A row: key, want without its prefix, flags, where to, then designated extras. */
#define JSON_FIELD(k, w, f, r, ...) \
	{ .key = (k), .want = JSON_WANT_##w, .flags = (f), .ret = (r), __VA_ARGS__ }

/* ERR_JSON with line and column when the text is not one JSON object. */
must_check err_t json_text_read(const char *text, size_t len, struct diag *d, json_t **ret_object);

/* Fills what the fields point at. On failure some of them may have been filled. */
must_check err_t json_object_read(const json_t *object, const struct json_field *fields, size_t n,
				  struct diag *d);

static inline void json_drop(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

#define owned_json __attribute__((cleanup(json_drop))) json_t *
