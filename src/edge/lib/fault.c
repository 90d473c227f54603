/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/fault.h"

#include <stdio.h>
#include <string.h>

#include "edge/lib/error.h"

json_t *fault_json(err_t e, const struct diag *d)
{
	const char *text = d->text[0] != '\0' ? d->text : err_text(e.code);
	json_t *more = json_pack("{s:i, s:s, s:i}", "code", (int)e.code, "name", err_name(e.code),
				 "sys", e.sys);

	if (d->section != NULL)
		(void)json_object_set_new(more, "section", json_string(d->section));
	if (d->field != NULL)
		(void)json_object_set_new(more, "field", json_string(d->field));
	if (d->has_offset)
		(void)json_object_set_new(more, "offset", json_integer((json_int_t)d->offset));
	return json_pack("{s:o, s:o}", "fault_message", json_stringn_nocheck(text, strlen(text)),
			 "spore_error", more);
}

/* The diagnosis borrows the words until it is copied, in this call and on this thread. */
static const char *keep_word(const json_t *v, char *at, size_t cap)
{
	if (!json_is_string(v))
		return NULL;
	(void)snprintf(at, cap, "%s", json_string_value(v));
	return at;
}

err_t fault_read(const json_t *fault, const char *otherwise, struct diag *d)
{
	static _Thread_local char section[32], field[64];
	const char *text = json_string_value(json_object_get(fault, "fault_message"));
	const json_t *more = json_object_get(fault, "spore_error");
	struct spore_error err = { .offset = SPORE_NO_OFFSET };
	err_t e;

	if (text == NULL || !json_is_object(more))
		return diag_fail(d, FAIL(ERR_REMOTE), "%s", otherwise);
	err.sys = (int32_t)json_integer_value(json_object_get(more, "sys"));
	(void)snprintf(err.text, sizeof err.text, "%s", text);
	e = error_take((int)json_integer_value(json_object_get(more, "code")), &err, d);
	if (!failed(e))
		return diag_fail(d, FAIL(ERR_REMOTE), "%s", text);
	if (d != NULL) {
		d->section = keep_word(json_object_get(more, "section"), section, sizeof section);
		d->field = keep_word(json_object_get(more, "field"), field, sizeof field);
		if (json_is_integer(json_object_get(more, "offset")))
			diag_offset(d, (uint64_t)json_integer_value(json_object_get(more, "offset")));
	}
	return e;
}
