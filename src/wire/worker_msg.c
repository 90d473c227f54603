/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/worker_msg.h"

#include <inttypes.h>
#include <string.h>

#include "wire/field.h"

enum { CLOCK_MAX = 1, OUTCOME_MAX = 5 };

static err_t version_parse(struct fields *f)
{
	uint32_t version;

	TRY(field_u32(f, "version", UINT32_MAX, &version));
	if (version != WORKER_VERSION)
		return field_bad(f, ERR_VERSION, "version", "is %" PRIu32 ", expected %d", version,
				 WORKER_VERSION);
	return OK;
}

static err_t ask_kind_parse(struct fields *f, enum worker_ask_kind *ret)
{
	uint32_t raw;

	TRY(field_u32(f, "kind", UINT32_MAX, &raw));
	switch (raw) {
#define X(name, number) case WORKER_##name: *ret = WORKER_##name; return OK;
	WORKER_ASKS(X)
#undef X
	}
	return field_bad(f, ERR_RANGE, "kind", "%" PRIu32 " is nothing to ask for", raw);
}

static err_t ask_parse(struct fields *f, struct worker_ask *a)
{
	TRY(version_parse(f));
	TRY(ask_kind_parse(f, &a->kind));
	TRY(field_u32(f, "serial", UINT32_MAX, &a->serial));
	TRY(field_string(f, "name", a->name, sizeof a->name));
	TRY(field_u32(f, "clock", CLOCK_MAX, &a->clock));
	TRY(field_bool(f, "run", &a->run));
	TRY(field_reserved(f, 3));
	TRY(field_count(f, "input", WORKER_INPUT_MAX, 1, &a->n_input));
	TRY(field_bytes(f, "input", a->input, a->n_input));
	return field_done(f);
}

err_t worker_ask_parse(struct cur in, struct diag *d, struct worker_ask *ret)
{
	struct fields f = fields_of(in, "request", d);

	*ret = (struct worker_ask){ 0 };
	return ask_parse(&f, ret);
}

void worker_ask_encode(struct out *o, const struct worker_ask *a)
{
	out_u32(o, WORKER_VERSION);
	out_u32(o, (uint32_t)a->kind);
	out_u32(o, a->serial);
	out_string(o, a->name);
	out_u32(o, a->clock);
	out_u8(o, a->run);
	out_zero(o, 3);
	out_u32(o, a->n_input);
	out_bytes(o, a->input, a->n_input);
}

static err_t say_kind_parse(struct fields *f, enum worker_say_kind *ret)
{
	uint32_t raw;

	TRY(field_u32(f, "kind", UINT32_MAX, &raw));
	switch (raw) {
#define X(name, number) case WORKER_##name: *ret = WORKER_##name; return OK;
	WORKER_SAYS(X)
#undef X
	}
	return field_bad(f, ERR_RANGE, "kind", "%" PRIu32 " is no answer", raw);
}

/* A code of its own that the worker makes up is an inconsistency, whatever it meant. */
static err_t code_parse(struct fields *f, uint32_t *ret)
{
	TRY(field_u32(f, "code", UINT32_MAX, ret));
	switch (*ret) {
#define X(name, number, class, text) case ERR_##name: return OK;
	ERR_CODES(X)
#undef X
	}
	return field_bad(f, ERR_RANGE, "code", "%" PRIu32 " is no error", *ret);
}

static err_t say_parse(struct fields *f, struct worker_say *s)
{
	uint32_t sys;

	TRY(version_parse(f));
	TRY(say_kind_parse(f, &s->kind));
	TRY(field_u32(f, "serial", UINT32_MAX, &s->serial));
	TRY(field_u32(f, "value", s->kind == WORKER_ENDED ? OUTCOME_MAX : UINT32_MAX, &s->value));
	TRY(code_parse(f, &s->code));
	TRY(field_u32(f, "sys", INT32_MAX, &sys));
	s->sys = (int32_t)sys;
	TRY(field_string(f, "text", s->text, sizeof s->text));
	if (s->kind == WORKER_FAILED && s->code == ERR_NONE)
		return field_bad(f, ERR_RANGE, "code", "a failure without an error");
	return field_done(f);
}

err_t worker_say_parse(struct cur in, struct diag *d, struct worker_say *ret)
{
	struct fields f = fields_of(in, "answer", d);

	*ret = (struct worker_say){ 0 };
	return say_parse(&f, ret);
}

void worker_say_encode(struct out *o, const struct worker_say *s)
{
	out_u32(o, WORKER_VERSION);
	out_u32(o, (uint32_t)s->kind);
	out_u32(o, s->serial);
	out_u32(o, s->value);
	out_u32(o, s->code);
	out_u32(o, (uint32_t)s->sys);
	out_string(o, s->text);
}
