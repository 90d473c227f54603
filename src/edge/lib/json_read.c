/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/json_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

err_t json_text_read(const char *text, size_t len, struct diag *d, json_t **ret_object)
{
	json_error_t at;
	owned_json value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &at);

	if (value == NULL && at.text[0] == '\0') /* it says what is wrong with a text, and nothing of memory */
		return diag_fail(d, FAIL(ERR_NOMEM), "out of memory");
	if (value == NULL)
		return diag_fail(d, FAIL(ERR_JSON), "%s at line %d column %d", at.text, at.line,
				 at.column);
	if (!json_is_object(value))
		return diag_fail(d, FAIL(ERR_JSON), "invalid type: expected an object");
	*ret_object = value;
	value = NULL;
	return OK;
}

/* "`a`, `b` or `c`", cut short when it does not fit. */
static void words_list(const char *const *words, char *ret, size_t cap)
{
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; words[i] != NULL && used < cap; i++) {
		const char *glue = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
		int n = snprintf(ret + used, cap - used, "%s`%s`", glue, words[i]);

		used += n > 0 ? (size_t)n : 0;
	}
}

static err_t unknown_key(const char *key, const struct json_field *fields, size_t n, struct diag *d)
{
	const char *keys[24] = { NULL };
	char list[320];

	for (size_t i = 0; i < n && i + 1 < countof(keys); i++)
		keys[i] = fields[i].key;
	words_list(keys, list, sizeof list);
	return diag_fail(d, FAIL(ERR_JSON), "unknown field `%.64s`, expected %s", key, list);
}

/* What a value is, in a few words, for "invalid type: ...". */
static void value_describe(const json_t *v, char *ret, size_t cap)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		(void)snprintf(ret, cap, "an object");
		return;
	case JSON_ARRAY:
		(void)snprintf(ret, cap, "an array");
		return;
	case JSON_STRING:
		(void)snprintf(ret, cap, "string \"%.40s\"", json_string_value(v));
		return;
	case JSON_INTEGER:
		(void)snprintf(ret, cap, "integer `%" JSON_INTEGER_FORMAT "`",
			       json_integer_value(v));
		return;
	case JSON_REAL:
		(void)snprintf(ret, cap, "floating point `%g`", json_real_value(v));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		(void)snprintf(ret, cap, "boolean `%s`", json_is_true(v) ? "true" : "false");
		return;
	case JSON_NULL:
		(void)snprintf(ret, cap, "null");
		return;
	}
	unreachable_by_type();
}

static err_t wrong_type(const struct json_field *f, const json_t *v, const char *expected,
			struct diag *d)
{
	char what[64];

	value_describe(v, what, sizeof what);
	return diag_fail(d, FAIL(ERR_JSON), "invalid type: %s for `%s`, expected %s", what, f->key,
			 expected);
}

static err_t string_read(const struct json_field *f, const json_t *v, struct diag *d)
{
	const char *s = json_string_value(v);

	if (s == NULL)
		return wrong_type(f, v, "a string", d);
	*(const char **)f->ret = s;
	return OK;
}

static err_t uint_read(const struct json_field *f, const json_t *v, struct diag *d)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong_type(f, v, "an unsigned integer", d);
	if (i < 0 || (uint64_t)i < f->least || (uint64_t)i > f->most)
		return diag_fail(d, FAIL(ERR_JSON),
				 "invalid value: integer `%" JSON_INTEGER_FORMAT
				 "` for `%s`, expected %" PRIu64 " to %" PRIu64,
				 i, f->key, f->least, f->most);
	*(uint64_t *)f->ret = (uint64_t)i;
	return OK;
}

static err_t word_read(const struct json_field *f, const json_t *v, struct diag *d)
{
	const char *s = json_string_value(v);
	char list[160];

	if (s == NULL)
		return wrong_type(f, v, "a string", d);
	for (uint32_t i = 0; f->words[i] != NULL; i++) {
		if (strcmp(f->words[i], s) == 0) {
			*(uint32_t *)f->ret = i;
			return OK;
		}
	}
	words_list(f->words, list, sizeof list);
	return diag_fail(d, FAIL(ERR_JSON), "unknown variant `%.64s` for `%s`, expected %s", s,
			 f->key, list);
}

static err_t field_read(const struct json_field *f, const json_t *v, struct diag *d)
{
	switch (f->want) {
	case JSON_WANT_STRING:
		return string_read(f, v, d);
	case JSON_WANT_BOOL:
		if (!json_is_boolean(v))
			return wrong_type(f, v, "a boolean", d);
		*(bool *)f->ret = json_is_true(v);
		return OK;
	case JSON_WANT_UINT:
		return uint_read(f, v, d);
	case JSON_WANT_WORD:
		return word_read(f, v, d);
	case JSON_WANT_OBJECT:
		if (!json_is_object(v))
			return wrong_type(f, v, "an object", d);
		*(const json_t **)f->ret = v;
		return OK;
	case JSON_WANT_ARRAY:
		if (!json_is_array(v))
			return wrong_type(f, v, "an array", d);
		*(const json_t **)f->ret = v;
		return OK;
	}
	unreachable_by_type();
}

static const struct json_field *field_find(const char *key, const struct json_field *fields,
					   size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

err_t json_object_read(const json_t *object, const struct json_field *fields, size_t n,
		       struct diag *d)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)object, key, v) {
		const struct json_field *f = field_find(key, fields, n);

		if (f == NULL)
			return unknown_key(key, fields, n, d);
		if (json_is_null(v) && (f->flags & JSON_NULLABLE) != 0)
			continue;
		TRY(field_read(f, v, d));
		if (f->ret_given != NULL)
			*f->ret_given = true;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *got = json_object_get(object, fields[i].key);

		if ((fields[i].flags & JSON_REQUIRED) != 0 && (got == NULL || json_is_null(got)))
			return diag_fail(d, FAIL(ERR_JSON), "missing field `%s`", fields[i].key);
	}
	return OK;
}
