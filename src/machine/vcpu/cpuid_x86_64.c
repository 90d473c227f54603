/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID leaves: Intel SDM volume 2A (CPUID), AMD APM volume 3 appendix E. */
#include "machine/vcpu/cpuid_x86_64.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "machine/kvm/kvm.h"

enum reg { EAX, EBX, ECX, EDX };

/* Leaves whose bits are features that a guest relies on once it has seen them. `mask` leaves out
 * fields that are not features. Names only where a person would look for one. */
static const struct feature_word {
	uint32_t function, index;
	enum reg reg;
	uint32_t mask;
	const char *word;
} feature_words[] = {
	{ 0x00000001, 0, ECX, 0xFFFFFFFF, "1.ECX" },
	{ 0x00000001, 0, EDX, 0xFFFFFFFF, "1.EDX" },
	{ 0x00000006, 0, EAX, 0x00000004, "6.EAX" }, /* ARAT */
	{ 0x00000007, 0, EBX, 0xFFFFFFFF, "7.0.EBX" },
	{ 0x00000007, 0, ECX, 0xFFFFFFFF, "7.0.ECX" },
	{ 0x00000007, 0, EDX, 0xFFFFFFFF, "7.0.EDX" },
	{ 0x00000007, 1, EAX, 0xFFFFFFFF, "7.1.EAX" },
	{ 0x0000000D, 0, EAX, 0xFFFFFFFF, "13.0.EAX" }, /* XCR0 */
	{ 0x0000000D, 0, EDX, 0xFFFFFFFF, "13.0.EDX" },
	{ 0x0000000D, 1, EAX, 0xFFFFFFFF, "13.1.EAX" },
	{ 0x80000001, 0, ECX, 0xFFFFFFFF, "0x80000001.ECX" },
	{ 0x80000001, 0, EDX, 0xFFFFFFFF, "0x80000001.EDX" },
	{ 0x80000007, 0, EDX, 0x00000100, "0x80000007.EDX" }, /* invariant TSC */
	{ 0x80000008, 0, EBX, 0xFFFFFFFF, "0x80000008.EBX" },
	{ 0x40000001, 0, EAX, 0xFFFFFFFF, "0x40000001.EAX" }, /* KVM's own */
};

static const struct feature_name {
	uint32_t function, index;
	enum reg reg;
	uint32_t bit;
	const char *name;
} feature_names[] = {
	{ 1, 0, ECX, 0, "sse3" },     { 1, 0, ECX, 9, "ssse3" },    { 1, 0, ECX, 12, "fma" },
	{ 1, 0, ECX, 13, "cx16" },    { 1, 0, ECX, 17, "pcid" },    { 1, 0, ECX, 19, "sse4_1" },
	{ 1, 0, ECX, 20, "sse4_2" },  { 1, 0, ECX, 21, "x2apic" },  { 1, 0, ECX, 22, "movbe" },
	{ 1, 0, ECX, 23, "popcnt" },  { 1, 0, ECX, 24, "tsc_deadline_timer" },
	{ 1, 0, ECX, 25, "aes" },     { 1, 0, ECX, 26, "xsave" },   { 1, 0, ECX, 28, "avx" },
	{ 1, 0, ECX, 29, "f16c" },    { 1, 0, ECX, 30, "rdrand" },
	{ 7, 0, EBX, 0, "fsgsbase" }, { 7, 0, EBX, 3, "bmi1" },     { 7, 0, EBX, 5, "avx2" },
	{ 7, 0, EBX, 7, "smep" },     { 7, 0, EBX, 8, "bmi2" },     { 7, 0, EBX, 10, "invpcid" },
	{ 7, 0, EBX, 16, "avx512f" }, { 7, 0, EBX, 17, "avx512dq" }, { 7, 0, EBX, 18, "rdseed" },
	{ 7, 0, EBX, 19, "adx" },     { 7, 0, EBX, 20, "smap" },    { 7, 0, EBX, 29, "sha_ni" },
	{ 7, 0, EBX, 30, "avx512bw" }, { 7, 0, EBX, 31, "avx512vl" },
	{ 7, 0, ECX, 2, "umip" },     { 7, 0, ECX, 3, "pku" },      { 7, 0, ECX, 8, "gfni" },
	{ 7, 0, ECX, 9, "vaes" },     { 7, 0, ECX, 16, "la57" },    { 7, 0, ECX, 22, "rdpid" },
	{ 7, 0, EDX, 22, "amx_bf16" }, { 7, 0, EDX, 24, "amx_tile" },
	{ 0xD, 1, EAX, 0, "xsaveopt" }, { 0xD, 1, EAX, 1, "xsavec" }, { 0xD, 1, EAX, 3, "xsaves" },
	{ 0x80000001, 0, EDX, 20, "nx" }, { 0x80000001, 0, EDX, 26, "pdpe1gb" },
	{ 0x80000001, 0, EDX, 27, "rdtscp" }, { 0x80000001, 0, EDX, 29, "lm" },
	{ 0x80000001, 0, ECX, 5, "abm" }, { 0x80000001, 0, ECX, 6, "sse4a" },
	{ 0x80000007, 0, EDX, 8, "invariant_tsc" },
};

static uint32_t *entry_reg(struct x86_cpuid_entry *e, enum reg r)
{
	switch (r) {
	case EAX: return &e->eax;
	case EBX: return &e->ebx;
	case ECX: return &e->ecx;
	case EDX: return &e->edx;
	}
	unreachable_by_type();
}

static uint32_t entry_value(const struct x86_cpuid_entry *e, enum reg r)
{
	struct x86_cpuid_entry copy = *e;

	return *entry_reg(&copy, r);
}

/* The order of a snapshot; KVM has none. */
static int by_leaf(const void *a, const void *b)
{
	const struct x86_cpuid_entry *x = a, *y = b;

	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* In a list of that order. */
static const struct x86_cpuid_entry *find(const struct x86_cpuid_entry *entries, uint32_t n,
					  uint32_t function, uint32_t index)
{
	const struct x86_cpuid_entry key = { .function = function, .index = index };

	return bsearch(&key, entries, n, sizeof entries[0], by_leaf);
}

/* Bits a guest never gets: {leaf, register, bits to clear}. */
static void take_away(struct x86_cpuid_entry *e)
{
	switch (e->function) {
	case 0x1:
		e->ecx &= ~(1u << 5);                 /* VMX */
		e->ecx &= ~(1u << 15);                /* PDCM: performance capabilities MSR */
		e->ecx |= 1u << 31;                   /* running under a hypervisor */
		break;
	case 0x7:
		if (e->index == 0) {
			e->ebx &= ~(1u << 2);         /* SGX */
			e->ebx &= ~(1u << 25);        /* Processor Trace */
			e->ecx &= ~(1u << 30);        /* SGX launch control */
		}
		break;
	case 0xA:                                     /* performance counters */
	case 0x14:                                    /* Processor Trace */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x80000001:
		e->ecx &= ~(1u << 2);                 /* SVM */
		e->ecx &= ~((1u << 23) | (1u << 24) | (1u << 28)); /* AMD performance counters */
		break;
	case 0x80000022:                              /* AMD performance monitoring */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	default:
		break;
	}
}

err_t cpuid_supported(int kvm, struct diag *d, struct cpuid *ret)
{
	size_t size = sizeof(struct kvm_cpuid2) + X86_CPUID_MAX * sizeof(struct kvm_cpuid_entry2);
	owned_heap struct kvm_cpuid2 *from = calloc(1, size);
	bool deadline = kvm_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0;

	if (from == NULL)
		return FAIL(ERR_NOMEM);
	from->nent = X86_CPUID_MAX;
	TRY(kvm_call(kvm, KVM_GET_SUPPORTED_CPUID, from, "KVM_GET_SUPPORTED_CPUID", d, NULL));
	ret->n = from->nent;
	for (uint32_t i = 0; i < from->nent; i++) {
		const struct kvm_cpuid_entry2 *k = &from->entries[i];

		ret->entries[i] = (struct x86_cpuid_entry){
			.function = k->function, .index = k->index, .flags = k->flags,
			.eax = k->eax, .ebx = k->ebx, .ecx = k->ecx, .edx = k->edx,
		};
		take_away(&ret->entries[i]);
		/* Emulated by the in-kernel local APIC, so not in KVM's own list. */
		if (k->function == 1 && deadline)
			ret->entries[i].ecx |= 1u << 24;
	}
	qsort(ret->entries, ret->n, sizeof ret->entries[0], by_leaf);
	return OK;
}

static uint32_t bits_for(uint32_t n)
{
	uint32_t bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static void topology_leaf(struct x86_cpuid_entry *e, vcpu_id id, uint32_t vcpus)
{
	e->edx = id.v;
	switch (e->index) {
	case 0: /* threads: one to a core */
		e->eax = 0;
		e->ebx = 1;
		e->ecx = 1u << 8;
		break;
	case 1: /* cores */
		e->eax = bits_for(vcpus);
		e->ebx = vcpus;
		e->ecx = (2u << 8) | 1;
		break;
	default:
		e->eax = e->ebx = 0;
		e->ecx = e->index;
		break;
	}
}

/* Leaf 4 and 0x8000001D: which APIC ids share a cache, and cores in the package. The last level is
 * shared by all, the others by nobody. */
static void cache_leaf(struct x86_cpuid_entry *e, uint32_t vcpus)
{
	uint32_t level = (e->eax >> 5) & 7;
	uint32_t sharing = level >= 3 ? (1u << bits_for(vcpus)) - 1 : 0;

	if ((e->eax & 31) == 0)
		return;
	e->eax &= 0x3FFF;
	e->eax |= sharing << 14;
	if (e->function == 4)
		e->eax |= ((1u << bits_for(vcpus)) - 1) << 26;
}

void cpuid_for_vcpu(struct cpuid *c, vcpu_id id, uint32_t vcpus)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct x86_cpuid_entry *e = &c->entries[i];

		switch (e->function) {
		case 0x1:
			e->ebx = (e->ebx & 0xFFFF) | (id.v << 24) | (vcpus << 16);
			if (vcpus > 1)
				e->edx |= 1u << 28; /* HTT: the count in EBX means something */
			else
				e->edx &= ~(1u << 28);
			break;
		case 0x4:
		case 0x8000001D:
			cache_leaf(e, vcpus);
			break;
		case 0xB:
		case 0x1F:
			topology_leaf(e, id, vcpus);
			break;
		case 0x80000008:
			e->ecx = (bits_for(vcpus) << 12) | (vcpus - 1);
			break;
		case 0x8000001E:
			e->eax = id.v;
			e->ebx = id.v & 0xFF;
			e->ecx = 0;
			break;
		default:
			break;
		}
	}
}

static void name_missing(char *text, size_t cap, const struct feature_word *w, uint32_t missing)
{
	for (uint32_t bit = 0; bit < 32; bit++) {
		const char *name = NULL;
		size_t used = strlen(text);

		if ((missing & (1u << bit)) == 0)
			continue;
		for (size_t i = 0; i < countof(feature_names); i++) {
			const struct feature_name *f = &feature_names[i];

			if (f->function == w->function && f->index == w->index &&
			    f->reg == w->reg && f->bit == bit)
				name = f->name;
		}
		if (name != NULL)
			(void)snprintf(text + used, cap - used, " %s", name);
		else
			(void)snprintf(text + used, cap - used, " CPUID.%s[%u]", w->word, bit);
	}
}

/* A bit that topology puts into the guest's leaf 1, whatever the host has. */
static uint32_t ours(const struct feature_word *w)
{
	if (w->function == 1 && w->reg == EDX)
		return 1u << 28;
	return 0;
}

err_t cpuid_compatible(const struct cpuid *host, const struct x86_cpuid_entry *wanted,
		       uint32_t n_wanted, struct diag *d)
{
	char missing_text[300] = "";

	for (size_t i = 0; i < countof(feature_words); i++) {
		const struct feature_word *w = &feature_words[i];
		const struct x86_cpuid_entry *want = find(wanted, n_wanted, w->function, w->index);
		const struct x86_cpuid_entry *have = find(host->entries, host->n, w->function,
							  w->index);
		uint32_t missing;

		if (want == NULL)
			continue;
		missing = entry_value(want, w->reg) & w->mask & ~ours(w);
		if (have != NULL)
			missing &= ~entry_value(have, w->reg);
		name_missing(missing_text, sizeof missing_text, w, missing);
	}
	if (missing_text[0] != '\0')
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "cpuid",
				  "this host lacks what the machine's processor has:%s",
				  missing_text);
	/* XSAVE: each component's size and offset (standard format) must be the same. */
	for (uint32_t index = 2; index < 63; index++) {
		const struct x86_cpuid_entry *want = find(wanted, n_wanted, 0xD, index);
		const struct x86_cpuid_entry *have = find(host->entries, host->n, 0xD, index);

		if (want == NULL || want->eax == 0)
			continue;
		if (have == NULL || have->eax != want->eax || have->ebx != want->ebx)
			return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "cpuid",
					  "XSAVE component %u: the machine has %u bytes at %u, "
					  "this host %u at %u", index, want->eax, want->ebx,
					  have == NULL ? 0 : have->eax, have == NULL ? 0 : have->ebx);
	}
	return OK;
}
