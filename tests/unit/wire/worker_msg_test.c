/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor and a worker say to each other: there and back, each rule, every byte changed. */
#include "wire/worker_msg.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

/* Where things lie, from the format in wire/worker_msg.c. */
enum {
	AT_VERSION = 0, AT_KIND = 4, AT_SERIAL = 8, AT_NAME = 12, NAME = 4, AT_CLOCK = AT_NAME + 2 + NAME,
	AT_RUN = AT_CLOCK + 4, AT_N_INPUT = AT_RUN + 4, AT_INPUT = AT_N_INPUT + 4, INPUT = 6,
	ASK = AT_INPUT + INPUT,
	AT_VALUE = 12, AT_CODE = 16, AT_SYS = 20, AT_TEXT = 24, TEXT = 5, SAY = AT_TEXT + 2 + TEXT,
};

static size_t ask_of(const struct worker_ask *a, uint8_t *ret)
{
	struct out o = out_of(ret, WORKER_MSG_MAX);

	worker_ask_encode(&o, a);
	assert_false(failed(out_done(&o)));
	return o.len;
}

static size_t say_of(const struct worker_say *s, uint8_t *ret)
{
	struct out o = out_of(ret, WORKER_MSG_MAX);

	worker_say_encode(&o, s);
	assert_false(failed(out_done(&o)));
	return o.len;
}

static size_t ask_sample(uint8_t *ret)
{
	struct worker_ask a = { .kind = WORKER_SPAWN, .serial = 9, .name = "anna", .clock = 1, .run = true,
				.n_input = INPUT, .input = "typed" };

	return ask_of(&a, ret);
}

static size_t say_sample(uint8_t *ret)
{
	struct worker_say s = { .kind = WORKER_FAILED, .serial = 8, .value = 7, .code = ERR_JAIL, .sys = 13,
				.text = "sorry" };

	return say_of(&s, ret);
}

static void asks_there_and_back(void **state)
{
	static const enum worker_ask_kind kinds[] = {
#define X(name, number) WORKER_##name,
		WORKER_ASKS(X)
#undef X
	};
	static struct worker_ask a, b;
	uint8_t bytes[WORKER_MSG_MAX];
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(ask_sample(bytes), ASK);
	for (size_t i = 0; i < countof(kinds); i++) {
		/* The longest of everything. */
		a = (struct worker_ask){ .kind = kinds[i], .serial = UINT32_MAX, .clock = i % 2,
					 .run = i % 2 == 0, .n_input = WORKER_INPUT_MAX };
		memset(a.name, 'n', sizeof a.name - 1);
		memset(a.input, (int)i, sizeof a.input);
		assert_false(failed(worker_ask_parse(cur_of(bytes, ask_of(&a, bytes)), &d, &b)));
		assert_int_equal(b.kind, kinds[i]);
		assert_true(b.serial == UINT32_MAX);
		assert_string_equal(b.name, a.name);
		assert_int_equal(b.clock, a.clock);
		assert_int_equal(b.run, a.run);
		assert_int_equal(b.n_input, WORKER_INPUT_MAX);
		assert_memory_equal(b.input, a.input, sizeof a.input);
	}
}

static void answers_there_and_back(void **state)
{
	struct worker_say s = { .kind = WORKER_ENDED, .value = 3, .sys = INT32_MAX }, t;
	uint8_t bytes[WORKER_MSG_MAX];
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(say_sample(bytes), SAY);
	memset(s.text, 't', sizeof s.text - 1);
	assert_false(failed(worker_say_parse(cur_of(bytes, say_of(&s, bytes)), &d, &t)));
	assert_int_equal(t.kind, WORKER_ENDED);
	assert_int_equal(t.serial, 0);
	assert_int_equal(t.value, 3);
	assert_int_equal(t.code, ERR_NONE);
	assert_int_equal(t.sys, INT32_MAX);
	assert_string_equal(t.text, s.text);
	/* Only an outcome has a largest value. */
	s = (struct worker_say){ .kind = WORKER_DONE, .value = UINT32_MAX };
	assert_false(failed(worker_say_parse(cur_of(bytes, say_of(&s, bytes)), &d, &t)));
	assert_true(t.value == UINT32_MAX);
}

struct rule { size_t at; uint32_t value; enum err_code code; const char *words; };

static const struct rule ask_rules[] = {
	{ AT_VERSION, WORKER_VERSION + 1, ERR_VERSION, "version: is 5, expected 4" },
	{ AT_KIND, 0, ERR_RANGE, "kind: 0 is nothing to ask for" },
	{ AT_KIND, 99, ERR_RANGE, "kind: 99 is nothing to ask for" },
	{ AT_NAME, 0x6E610041, ERR_RANGE, "name" }, /* 65 bytes, one more than there may be */
	{ AT_NAME, 0x6E00FF04, ERR_RANGE, "name" },
	{ AT_CLOCK, 2, ERR_RANGE, "clock" },
	{ AT_RUN, 2, ERR_RANGE, "run" },
	{ AT_RUN, 0x100, ERR_RESERVED, "reserved" },
	{ AT_N_INPUT, WORKER_INPUT_MAX + 1, ERR_RANGE, "input" },
	{ AT_N_INPUT, INPUT + 1, ERR_TRUNCATED, "input" },
	{ AT_N_INPUT, INPUT - 1, ERR_TRAILING, "" },
};

static const struct rule say_rules[] = {
	{ AT_VERSION, 0, ERR_VERSION, "version: is 0, expected 4" },
	{ AT_KIND, 0, ERR_RANGE, "kind: 0 is no answer" },
	{ AT_KIND, 4, ERR_RANGE, "kind: 4 is no answer" },
	{ AT_KIND, WORKER_ENDED, ERR_RANGE, "value" }, /* 7 */
	{ AT_CODE, ERR_NONE, ERR_RANGE, "code: a failure without an error" },
	{ AT_CODE, 9999, ERR_RANGE, "code: 9999 is no error" },
	{ AT_SYS, 0x80000000, ERR_RANGE, "sys" },
	{ AT_TEXT, 0x6F730200, ERR_RANGE, "text" }, /* 512 bytes, one more than there may be */
};

static err_t ask_judge(const uint8_t *bytes, size_t n, struct diag *d, uint8_t *again, size_t *len)
{
	static struct worker_ask a;
	err_t e = worker_ask_parse(cur_of(bytes, n), d, &a);

	*len = failed(e) ? 0 : ask_of(&a, again);
	return e;
}

static err_t say_judge(const uint8_t *bytes, size_t n, struct diag *d, uint8_t *again, size_t *len)
{
	struct worker_say s;
	err_t e = worker_say_parse(cur_of(bytes, n), d, &s);

	*len = failed(e) ? 0 : say_of(&s, again);
	return e;
}

typedef err_t judge_fn(const uint8_t *bytes, size_t n, struct diag *d, uint8_t *again, size_t *len);
typedef size_t sample_fn(uint8_t *ret);
struct side {
	judge_fn *judge;
	sample_fn *sample;
	const struct rule *rules;
	size_t n_rules;
	const char *section;
};

static const struct side sides[] = {
	{ ask_judge, ask_sample, ask_rules, countof(ask_rules), "request" },
	{ say_judge, say_sample, say_rules, countof(say_rules), "answer" },
};

/* From an allocation of exactly its size; what is taken says the same when it is written again. */
static err_t judged(const struct side *s, const uint8_t *bytes, size_t n, struct diag *d)
{
	uint8_t *copy = malloc(n + (n == 0)), again[WORKER_MSG_MAX];
	size_t len;
	err_t e;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	e = s->judge(copy, n, d, again, &len);
	if (!failed(e)) {
		assert_int_equal(len, n);
		assert_memory_equal(again, bytes, n);
	} else {
		assert_string_equal(d->section, s->section);
		assert_true(d->text[0] != '\0');
	}
	free(copy);
	return e;
}

static void each_rule(void **state)
{
	uint8_t bytes[WORKER_MSG_MAX];

	(void)state;
	for (const struct side *s = sides; s < sides + countof(sides); s++) {
		for (size_t i = 0; i < s->n_rules; i++) {
			const struct rule *r = &s->rules[i];
			struct diag d = DIAG_INIT;
			size_t n = s->sample(bytes);
			err_t e;

			for (int b = 0; b < 4; b++)
				bytes[r->at + (size_t)b] = (uint8_t)(r->value >> 8 * b);
			e = judged(s, bytes, n, &d);
			if (e.code != r->code || strstr(d.text, r->words) == NULL)
				fail_msg("%s %zu: %s: \"%s\"", s->section, i, err_name(e.code),
					 d.text);
		}
	}
}

static void every_byte_and_length(void **state)
{
	uint8_t bytes[WORKER_MSG_MAX];

	(void)state;
	for (const struct side *s = sides; s < sides + countof(sides); s++) {
		size_t n = s->sample(bytes);
		struct diag d;

		for (size_t at = 0; at < n; at++) {
			for (int bit = 0; bit < 8; bit++) {
				d = DIAG_INIT;
				bytes[at] ^= (uint8_t)(1 << bit);
				ignore(judged(s, bytes, n, &d));
				bytes[at] ^= (uint8_t)(1 << bit);
			}
		}
		for (size_t cut = 0; cut < n; cut++) {
			d = DIAG_INIT;
			assert_true(failed(judged(s, bytes, cut, &d)));
		}
		d = DIAG_INIT;
		bytes[n] = 0;
		assert_int_equal(judged(s, bytes, n + 1, &d).code, ERR_TRAILING);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_there_and_back), cmocka_unit_test(answers_there_and_back),
		cmocka_unit_test(each_rule),           cmocka_unit_test(every_byte_and_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
