/* SPDX-License-Identifier: Apache-2.0 */
/* How the machine was made. It is for people and for GET /vm/config, but the name becomes the name
 * of a folder at a restore, so it is held to the rule for names. */
#include <string.h>

#include "wire/field.h"
#include "wire/sections.h"

/* 1..64 letters, digits, '-', '_', '.', not beginning with '.' or '-'. */
static bool name_ok(const char *name)
{
	static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t n = strlen(name);

	return n >= 1 && n <= 64 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, LETTERS) == n;
}

static err_t strings_parse(struct fields *f, struct machine_note *v)
{
	TRY(field_string(f, "name", v->name, sizeof v->name));
	if (!name_ok(v->name))
		return field_bad(f, ERR_RANGE, "name", "is not a name for a machine");
	TRY(field_string(f, "kernel", v->kernel, sizeof v->kernel));
	TRY(field_string(f, "initrd", v->initrd, sizeof v->initrd));
	return field_string(f, "cmdline", v->cmdline, sizeof v->cmdline);
}

err_t machine_note_parse(struct cur in, struct diag *d, struct machine_note *ret)
{
	struct fields f = fields_of(in, "config", d);

	TRY(field_u32(&f, "boot_method", MACHINE_NOTE_BOOT_MAX, &ret->boot_method));
	TRY(strings_parse(&f, ret));
	return field_done(&f);
}

void machine_note_encode(struct out *o, const struct machine_note *v)
{
	out_u32(o, v->boot_method);
	out_string(o, v->name);
	out_string(o, v->kernel);
	out_string(o, v->initrd);
	out_string(o, v->cmdline);
}
