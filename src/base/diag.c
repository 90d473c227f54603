/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void say(struct diag *d, const char *fmt, va_list args)
{
	/* A sentence that is too long is cut; it stays a string. */
	(void)vsnprintf(d->text, sizeof d->text, fmt, args);
	text_trim(d->text, sizeof d->text);
}

err_t diag_fail(struct diag *d, err_t e, const char *fmt, ...)
{
	va_list args;

	if (d != NULL && d->text[0] == '\0') {
		va_start(args, fmt);
		say(d, fmt, args);
		va_end(args);
	}
	return e;
}

err_t diag_field(struct diag *d, err_t e, const char *section, const char *field,
		 const char *fmt, ...)
{
	va_list args;
	size_t used;

	if (d == NULL || d->text[0] != '\0')
		return e;
	d->section = section;
	d->field = field;
	(void)snprintf(d->text, sizeof d->text, "%s.%s: ", section, field);
	used = strlen(d->text);
	va_start(args, fmt);
	(void)vsnprintf(d->text + used, sizeof d->text - used, fmt, args);
	text_trim(d->text, sizeof d->text);
	va_end(args);
	return e;
}

err_t diag_sys(struct diag *d, err_t e, const char *fmt, ...)
{
	va_list args;
	size_t used;

	if (d == NULL || d->text[0] != '\0')
		return e;
	va_start(args, fmt);
	say(d, fmt, args);
	va_end(args);
	used = strlen(d->text);
	(void)snprintf(d->text + used, sizeof d->text - used, ": %s", strerrordesc_np(e.sys));
	return e;
}

void diag_prefix(struct diag *d, const char *name)
{
	char old[sizeof d->text];
	size_t used;

	if (d == NULL)
		return;
	memcpy(old, d->text, sizeof old);
	(void)snprintf(d->text, sizeof d->text, "%.200s: ", name);
	used = strlen(d->text);
	(void)snprintf(d->text + used, sizeof d->text - used, "%.*s",
		       (int)(sizeof d->text - used - 1), old);
	text_trim(d->text, sizeof d->text);
}

void diag_offset(struct diag *d, uint64_t offset)
{
	if (d == NULL || d->has_offset)
		return;
	d->offset = offset;
	d->has_offset = true;
}
