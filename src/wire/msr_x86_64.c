/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/msr_x86_64.h"

/* IA32_TSC is not here: the offset carries it, and a write would override that. */
static const struct range {
	uint32_t first, count;
} state[] = {
	{ 0x0000001B, 1 },   /* APIC_BASE */
	{ 0x0000003A, 1 },   /* FEATURE_CONTROL */
	{ 0x0000003B, 1 },   /* TSC_ADJUST */
	{ 0x00000048, 1 },   /* SPEC_CTRL */
	{ 0x0000008B, 1 },   /* microcode revision */
	{ 0x0000010A, 1 },   /* ARCH_CAPABILITIES */
	{ 0x00000122, 1 },   /* TSX_CTRL */
	{ 0x00000140, 1 },   /* MISC_FEATURE_ENABLES */
	{ 0x00000174, 3 },   /* SYSENTER_CS, _ESP, _EIP */
	{ 0x00000179, 2 },   /* MCG_CAP, MCG_STATUS; MCG_CTL faults where MCG_CAP lacks it */
	{ 0x000001A0, 1 },   /* MISC_ENABLE */
	{ 0x000001C4, 2 },   /* XFD, XFD_ERR */
	{ 0x000001D9, 1 },   /* DEBUGCTL */
	{ 0x00000200, 16 },  /* variable-range MTRRs */
	{ 0x00000250, 1 },   /* fixed-range MTRRs ... */
	{ 0x00000258, 2 },
	{ 0x00000268, 8 },
	{ 0x00000277, 1 },   /* PAT */
	{ 0x000002FF, 1 },   /* MTRR default type */
	{ 0x00000400, 128 }, /* machine-check banks */
	{ 0x000004D0, 1 },   /* MCG_EXT_CTL */
	{ 0x000006A0, 9 },   /* control-flow enforcement */
	{ 0x000006E0, 1 },   /* TSC_DEADLINE: set last */
	{ 0x00000DA0, 1 },   /* XSS */
	{ 0x00000D90, 1 },   /* BNDCFGS */
	{ 0x000000E1, 1 },   /* UMWAIT_CONTROL */
	{ 0x4B564D00, 256 }, /* KVM: clocks, async page faults, steal time, end of interrupt */
	{ 0xC0000080, 5 },   /* EFER, STAR, LSTAR, CSTAR, SYSCALL_MASK */
	{ 0xC0000100, 4 },   /* FS_BASE, GS_BASE, KERNEL_GS_BASE, TSC_AUX */
	{ 0xC0000104, 1 },   /* AMD TSC ratio */
	{ 0xC0010015, 1 },   /* HWCR */
	{ 0xC001011F, 1 },   /* VIRT_SPEC_CTRL */
	{ 0xC0011029, 1 },   /* DE_CFG */
};

bool x86_msr_is_state(uint32_t index)
{
	for (size_t i = 0; i < countof(state); i++) {
		if (index >= state[i].first && index - state[i].first < state[i].count)
			return true;
	}
	return false;
}
