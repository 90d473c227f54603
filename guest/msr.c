/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of MSRs whose values a test can choose by seed and find again after a
 * restore: the system-call and segment bases, PAT, TSC_AUX, a variable MTRR.
 * None of the values disturbs the guest.
 */
#include "commands.h"
#include "cpu.h"
#include "mem.h"
#include "smp.h"
#include "text.h"
#include "user.h"

#define CPUID_RDTSCP (1u << 27)
#define CPUID1_MTRR (1u << 12)
#define CPUID1_SEP (1u << 11)

enum need { NEED_NOTHING, NEED_RDTSCP, NEED_MTRR, NEED_SEP };

enum shape {
	SHAPE_STAR,
	SHAPE_LSTAR,
	SHAPE_SFMASK,
	SHAPE_ADDRESS, /* canonical, lower half */
	SHAPE_WORD,    /* 32 bits */
	SHAPE_SELECTOR, /* 16 bits */
	SHAPE_PAT,     /* entries 4 to 7, which no page table here uses */
	SHAPE_MTRR,    /* a base with type write-back; its mask stays invalid */
};

static const struct msr_row {
	const char *name;
	uint32_t msr;
	enum need need;
	enum shape shape;
} rows[] = {
	{ "star", 0xc0000081, NEED_NOTHING, SHAPE_STAR },
	{ "lstar", 0xc0000082, NEED_NOTHING, SHAPE_LSTAR },
	{ "cstar", 0xc0000083, NEED_NOTHING, SHAPE_ADDRESS },
	{ "sfmask", 0xc0000084, NEED_NOTHING, SHAPE_SFMASK },
	{ "fs_base", 0xc0000100, NEED_NOTHING, SHAPE_ADDRESS },
	{ "gs_base", 0xc0000101, NEED_NOTHING, SHAPE_ADDRESS },
	{ "kernel_gs_base", 0xc0000102, NEED_NOTHING, SHAPE_ADDRESS },
	{ "tsc_aux", 0xc0000103, NEED_RDTSCP, SHAPE_WORD },
	{ "sysenter_cs", 0x174, NEED_SEP, SHAPE_SELECTOR },
	{ "sysenter_esp", 0x175, NEED_SEP, SHAPE_ADDRESS },
	{ "sysenter_eip", 0x176, NEED_SEP, SHAPE_ADDRESS },
	{ "pat", 0x277, NEED_NOTHING, SHAPE_PAT },
	{ "mtrr_base7", 0x20e, NEED_MTRR, SHAPE_MTRR },
};

static bool need_met(enum need need)
{
	switch (need) {
	case NEED_NOTHING:
		return true;
	case NEED_RDTSCP:
		return (cpu_cpuid(0x80000001, 0).edx & CPUID_RDTSCP) != 0;
	case NEED_MTRR:
		return (cpu_cpuid(1, 0).edx & CPUID1_MTRR) != 0;
	case NEED_SEP:
		return (cpu_cpuid(1, 0).edx & CPUID1_SEP) != 0;
	}
	return false;
}

static uint64_t pat_value(uint64_t v)
{
	static const uint8_t types[] = { 0, 1, 4, 5, 6, 7, 6, 0 };
	uint64_t pat = 0x00070406; /* entries 0 to 3 as at reset */

	for (unsigned i = 4; i < 8; i++)
		pat |= (uint64_t)types[v >> 3 * i & 7] << 8 * i;
	return pat;
}

static uint64_t row_value(const struct msr_row *row, uint64_t seed)
{
	uint64_t v = pattern_word(seed ^ cpu_this()->index, row->msr);
	struct user_msrs user = user_expect(seed);

	switch (row->shape) {
	case SHAPE_STAR:
		return user.star;
	case SHAPE_LSTAR:
		return user.lstar;
	case SHAPE_SFMASK:
		return user.sfmask;
	case SHAPE_ADDRESS:
		return v >> 17;
	case SHAPE_WORD:
		return (uint32_t)v;
	case SHAPE_SELECTOR:
		return (uint16_t)v;
	case SHAPE_PAT:
		return pat_value(v);
	case SHAPE_MTRR:
		return (v & 0x3ffff000) | 6;
	}
	return 0;
}

const char *cmd_msr(struct args *a, struct reply *r)
{
	const char *what = args_word(a);
	unsigned count = 0;
	uint64_t seed;
	bool write;

	if (what == NULL || !args_number(a, &seed))
		return USAGE;
	write = text_equal(what, "write");
	if (!write && !text_equal(what, "check"))
		return USAGE;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t expected = row_value(&rows[i], seed), found;

		if (!need_met(rows[i].need))
			continue;
		if (write)
			cpu_wrmsr(rows[i].msr, expected);
		found = cpu_rdmsr(rows[i].msr);
		if (found != expected) {
			reply_word(r, "msr", rows[i].name);
			reply_hex(r, "found", found);
			reply_hex(r, "expected", expected);
			return "an MSR differs";
		}
		count++;
	}
	reply_dec(r, "msrs", count);
	return NULL;
}
