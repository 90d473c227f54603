/* SPDX-License-Identifier: Apache-2.0 */
/* Small commands that prove one thing each. */
#include "commands.h"
#include "cpu.h"
#include "mem.h"
#include "misc.h"
#include "serial.h"
#include "smp.h"
#include "user.h"

uint64_t beat_spin(uint64_t *memory); /* state.S */

/* Lives in RAM only: an answer to a nonce proves which RAM this is. */
static uint64_t secret;

const char *cmd_secret(struct args *a, struct reply *r)
{
	(void)r;
	return args_number(a, &secret) ? NULL : USAGE;
}

uint64_t secret_mix(uint64_t nonce)
{
	if (secret == 0)
		secret = pattern_word(cpu_rdtsc(), 0);
	return pattern_word(secret, nonce);
}

const char *cmd_nonce(struct args *a, struct reply *r)
{
	uint64_t nonce;

	if (!args_number(a, &nonce))
		return USAGE;
	reply_hex(r, "answer", secret_mix(nonce));
	return NULL;
}

const char *cmd_cpuid(struct args *a, struct reply *r)
{
	uint64_t leaf, subleaf;
	struct cpuid id;

	if (!args_number(a, &leaf) || !args_number_or(a, 0, &subleaf))
		return USAGE;
	id = cpu_cpuid((uint32_t)leaf, (uint32_t)subleaf);
	reply_hex(r, "eax", id.eax);
	reply_hex(r, "ebx", id.ebx);
	reply_hex(r, "ecx", id.ecx);
	reply_hex(r, "edx", id.edx);
	return NULL;
}

static uint64_t chain(uint64_t start, uint64_t links, uint64_t unused)
{
	uint64_t x = start;

	(void)unused;
	for (uint64_t i = 0; i < links; i++)
		x = pattern_word(x, i);
	return x;
}

/* A chain of dependent sums in kernel mode, then again at CPL3: equal, or lost. */
const char *cmd_spin(struct args *a, struct reply *r)
{
	uint64_t start = cpu_this()->index, x = start, links = 0, limit;

	if (!args_number_or(a, 0, &limit))
		return USAGE;
	cpu_interrupts_on();
	while ((limit == 0 || links != limit) && !serial_stop())
		x = pattern_word(x, links++);
	cpu_interrupts_off();
	if (limit == 0 || links != limit)
		serial_spend();
	reply_dec(r, "rounds", links);
	return user_call(chain, start, links, 0) == x ? NULL : "the sum differs";
}

const char *cmd_beat(struct args *a, struct reply *r)
{
	static uint64_t count;
	uint64_t differs;

	(void)a;
	if (serial_polled())
		return "needs the serial interrupt";
	cpu_interrupts_on();
	differs = beat_spin(&count);
	cpu_interrupts_off();
	if (!differs)
		serial_spend();
	serial_write("\n", 1);
	reply_dec(r, "count", count);
	return differs ? "register and memory differ" : NULL;
}

const char *cmd_answer(struct args *a, struct reply *r)
{
	(void)a;
	if (serial_polled())
		return "needs the serial interrupt";
	reply_dec(r, "answered", serial_answer());
	serial_write("\n", 1);
	return NULL;
}
