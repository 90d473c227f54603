/* SPDX-License-Identifier: Apache-2.0 */
/* The public numbers are the inside numbers: proved here, one by one. */
#include "edge/lib/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPORE_ERR_NONE = SPORE_OK,
};
#define X(name, number, class, text) \
	static_assert((int)ERR_##name == (int)SPORE_ERR_##name, "spore.h disagrees on " #name);
ERR_CODES(X)
#undef X

static_assert((int)ERR_CLASS_NONE == (int)SPORE_CLASS_NONE, "class");
static_assert((int)ERR_CLASS_MONITOR == (int)SPORE_CLASS_MONITOR, "class");
static_assert((int)ERR_CLASS_USAGE == (int)SPORE_CLASS_USAGE, "class");
static_assert((int)ERR_CLASS_INPUT == (int)SPORE_CLASS_INPUT, "class");
static_assert((int)ERR_CLASS_HOST == (int)SPORE_CLASS_HOST, "class");
static_assert(sizeof(struct spore_error) == 8 + 8 + 32 + 64 + 512 + 64, "part of the ABI");

int error_give(err_t e, const struct diag *d, struct spore_error *err)
{
	const char *text = d != NULL && d->text[0] != '\0' ? d->text : err_text(e.code);

	if (!failed(e) || err == NULL)
		return (int)e.code;
	*err = (struct spore_error){ .code = (int32_t)e.code, .sys = e.sys,
				     .offset = SPORE_NO_OFFSET };
	(void)snprintf(err->text, sizeof err->text, "%s", text);
	if (d == NULL)
		return (int)e.code;
	if (d->has_offset)
		err->offset = d->offset;
	(void)snprintf(err->section, sizeof err->section, "%s", d->section ? d->section : "");
	(void)snprintf(err->field, sizeof err->field, "%s", d->field ? d->field : "");
	return (int)e.code;
}

static enum err_code code_of(int status)
{
	switch (status) {
#define X(name, number, class, text) case number: return ERR_##name;
	ERR_CODES(X)
#undef X
	default:
		return ERR_INTERNAL;
	}
}

err_t error_take(int status, const struct spore_error *err, struct diag *d)
{
	err_t e = { code_of(status), err->sys };

	if (!failed(e) || d == NULL || d->text[0] != '\0')
		return e;
	(void)snprintf(d->text, sizeof d->text, "%.*s", (int)sizeof d->text - 1,
		       err->text);
	d->section = err->section[0] != '\0' ? err->section : NULL;
	d->field = err->field[0] != '\0' ? err->field : NULL;
	d->has_offset = err->offset != SPORE_NO_OFFSET;
	d->offset = d->has_offset ? err->offset : 0;
	return e;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

err_t options_take(const void *options, size_t least, size_t known, void *ret, const char *what,
		   struct diag *d)
{
	size_t given;

	if (options == NULL)
		return OK;
	memcpy(&given, options, sizeof given);
	if (given < least || given > 65536)
		return diag_fail(d, FAIL(ERR_USAGE), "%s: size is %zu, expected at least %zu",
				 what, given, least);
	if (given > known && !all_zero((const uint8_t *)options + known, given - known))
		return diag_fail(d, FAIL(ERR_USAGE),
				 "%s: has fields that this version does not know", what);
	memcpy(ret, options, given < known ? given : known);
	return OK;
}

err_t options_check(uint32_t flags, uint32_t known, const uint64_t reserved[8], const char *what,
		    struct diag *d)
{
	if ((flags & ~known) != 0)
		return diag_fail(d, FAIL(ERR_USAGE), "%s: flags are 0x%x, expected some of 0x%x", what,
				 flags, known);
	if (!all_zero((const uint8_t *)reserved, 8 * sizeof *reserved))
		return diag_fail(d, FAIL(ERR_USAGE), "%s: reserved is not zero", what);
	return OK;
}

const char *spore_version(void)
{
	return SPORE_VERSION;
}

const char *spore_status_name(int status)
{
	return err_name((enum err_code)status);
}

const char *spore_status_text(int status)
{
	return err_text((enum err_code)status);
}

enum spore_error_class spore_status_class(int status)
{
	return (enum spore_error_class)err_class_of((enum err_code)status);
}

void spore_free(void *text)
{
	free(text);
}
