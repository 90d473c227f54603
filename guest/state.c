/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that hold a known register file across a freeze: `regs` in kernel
 * mode with the debug registers, `user` at CPL3 with x87, SSE and AVX. Every CPU
 * has its own values, so state restored into the wrong CPU shows.
 */
#include "state.h"

#include "commands.h"
#include "cpu.h"
#include "mem.h"
#include "serial.h"
#include "smp.h"
#include "text.h"
#include "user.h"

#define FLAG_DF (1u << 10)
#define MXCSR_TEST 0x7f80 /* round towards zero, all masked */
#define FCW_TEST 0x0f7f   /* the same for the x87, extended precision */
#define CR4_OSXSAVE (1u << 18)
#define CPUID1_XSAVE (1u << 26)
#define CPUID1_AVX (1u << 28)
#define XCR0_X87_SSE_AVX 7

_Static_assert(offsetof(struct state, left) == STATE_LEFT, "state.S");
_Static_assert(offsetof(struct state, avx) == STATE_AVX, "state.S");
_Static_assert(offsetof(struct state, mxcsr) == STATE_MXCSR, "state.S");
_Static_assert(offsetof(struct state, fcw) == STATE_FCW, "state.S");
_Static_assert(offsetof(struct state, flags) == STATE_FLAGS, "state.S");
_Static_assert(offsetof(struct state, gpr) == STATE_GPR, "state.S");
_Static_assert(offsetof(struct state, st) == STATE_ST, "state.S");
_Static_assert(offsetof(struct state, vec) == STATE_VEC, "state.S");
_Static_assert(sizeof(struct state) == STATE_BYTES, "state.S");

/* Turns AVX on for this CPU where CPUID offers it. */
static bool avx_enable(void)
{
	uint32_t features = cpu_cpuid(1, 0).ecx;
	uint64_t cr4;

	if ((features & CPUID1_XSAVE) == 0 || (features & CPUID1_AVX) == 0)
		return false;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if ((cr4 & CR4_OSXSAVE) == 0) {
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE) : "memory");
		__asm__ volatile("xsetbv" : : "a"(XCR0_X87_SSE_AVX), "d"(0), "c"(0));
	}
	return true;
}

static uint64_t state_word(uint64_t *at)
{
	return pattern_word(cpu_this()->index, (*at)++);
}

static void state_load_integers(struct state *s, uint64_t rounds)
{
	uint64_t at = 0;

	s->left = rounds;
	for (unsigned i = 0; i < STATE_GPRS; i++)
		s->gpr[i] = state_word(&at);
}

static const char *state_check_integers(const struct state *s)
{
	static const char *const faults[STATE_GPRS] = {
		"rbx changed", "rcx changed", "rdx changed", "rsi changed", "rdi changed",
		"rbp changed", "r8 changed",  "r9 changed",  "r10 changed", "r11 changed",
		"r12 changed", "r13 changed", "r14 changed", "r15 changed",
	};
	uint64_t at = 0;

	for (unsigned i = 0; i < STATE_GPRS; i++) {
		if (s->gpr[i] != state_word(&at))
			return faults[i];
	}
	return (s->flags & FLAG_DF) == 0 ? "rflags changed" : NULL;
}

static void state_load_vectors(struct state *s)
{
	uint64_t at = 1000;

	s->avx = avx_enable();
	s->mxcsr = MXCSR_TEST;
	s->fcw = FCW_TEST;
	for (unsigned i = 0; i < 8; i++) {
		uint64_t *mantissa = (uint64_t *)s->st[i];

		/* Explicit integer bit set, exponent 1.0: a normal number. */
		mantissa[0] = state_word(&at) | 1ull << 63;
		mantissa[1] = 0x3fff;
	}
	for (unsigned i = 0; i < 16 * 4; i++)
		((uint64_t *)s->vec)[i] = state_word(&at);
}

static const char *state_check_vectors(const struct state *s)
{
	uint64_t at = 1000;

	if (s->mxcsr != MXCSR_TEST)
		return "mxcsr changed";
	if (s->fcw != FCW_TEST)
		return "x87 control word changed";
	for (unsigned i = 0; i < 8; i++) {
		const uint64_t *st = (const uint64_t *)s->st[i];

		if (st[0] != (state_word(&at) | 1ull << 63) || (st[1] & 0xffff) != 0x3fff)
			return "x87 register changed";
	}
	for (unsigned i = 0; i < 16 * 4; i++) {
		if (((const uint64_t *)s->vec)[i] != state_word(&at) && (s->avx || i % 4 < 2))
			return i % 4 < 2 ? "xmm register changed" : "upper half of ymm changed";
	}
	return NULL;
}

static void debug_load(void)
{
	uint64_t at = 2000;

	/* Canonical addresses; DR7 enables none of them. */
	__asm__ volatile("mov %0, %%dr0" : : "r"(state_word(&at) >> 17));
	__asm__ volatile("mov %0, %%dr1" : : "r"(state_word(&at) >> 17));
	__asm__ volatile("mov %0, %%dr2" : : "r"(state_word(&at) >> 17));
	__asm__ volatile("mov %0, %%dr3" : : "r"(state_word(&at) >> 17));
}

static const char *debug_check(void)
{
	uint64_t at = 2000, v[4];

	__asm__ volatile("mov %%dr0, %0" : "=r"(v[0]));
	__asm__ volatile("mov %%dr1, %0" : "=r"(v[1]));
	__asm__ volatile("mov %%dr2, %0" : "=r"(v[2]));
	__asm__ volatile("mov %%dr3, %0" : "=r"(v[3]));
	for (unsigned i = 0; i < 4; i++) {
		if (v[i] != state_word(&at) >> 17)
			return "debug register changed";
	}
	return NULL;
}

/* A spin without a bound needs the interrupt to tell it of a byte. */
static bool rounds_given(struct args *a, uint64_t *ret_rounds)
{
	return args_number_or(a, 0, ret_rounds) && (*ret_rounds != 0 || !serial_polled());
}

/* How the spin ended, for the one who sent a byte to end it. */
static void spin_ended(struct reply *r, uint64_t rounds, uint64_t left)
{
	if (left != 0)
		serial_spend();
	reply_dec(r, "rounds", rounds - left);
}

const char *cmd_regs(struct args *a, struct reply *r)
{
	struct state *s = &cpu_this()->state;
	const char *fault;
	uint64_t rounds;
	bool moved;

	if (!rounds_given(a, &rounds))
		return USAGE;
	state_load_integers(s, rounds);
	debug_load();
	cpu_interrupts_on();
	moved = state_spin(s) != 0;
	cpu_interrupts_off();
	spin_ended(r, rounds, s->left);
	fault = moved ? "rax changed" : state_check_integers(s);
	return fault != NULL ? fault : debug_check();
}

const char *cmd_user(struct args *a, struct reply *r)
{
	struct state *s = &cpu_this()->state;
	const char *fault;
	uint64_t rounds;

	if (!rounds_given(a, &rounds))
		return USAGE;
	state_load_integers(s, rounds);
	state_load_vectors(s);
	user_call((user_fn)(uintptr_t)state_spin_user, (uintptr_t)s, 0, 0);
	spin_ended(r, rounds, s->left);
	reply_word(r, "vectors", s->avx ? "ymm" : "xmm");
	fault = state_check_integers(s);
	return fault != NULL ? fault : state_check_vectors(s);
}
