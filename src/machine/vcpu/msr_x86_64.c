/* SPDX-License-Identifier: Apache-2.0 */
/* MSRs: Intel SDM volume 4, AMD APM volume 2 appendix A, Documentation/virt/kvm/x86/msr.rst. */
#include "machine/vcpu/msr_x86_64.h"

#include <linux/kvm.h>

#include "base/heap.h"
#include "machine/kvm/kvm.h"
#include "wire/msr_x86_64.h"

/* Not in KVM's index list, but there when the guest's CPUID says so. */
static const struct implied {
	struct { uint32_t first, count; } msrs;
	uint32_t function, index;
	enum { IN_EAX, IN_EBX, IN_ECX, IN_EDX } reg;
	uint32_t bit;
} implied[] = {
	{ { 0x00000200, 16 }, 1, 0, IN_EDX, 12 }, /* MTRR */
	{ { 0x00000250, 1 }, 1, 0, IN_EDX, 12 },
	{ { 0x00000258, 2 }, 1, 0, IN_EDX, 12 },
	{ { 0x00000268, 8 }, 1, 0, IN_EDX, 12 },
	{ { 0x000002FF, 1 }, 1, 0, IN_EDX, 12 },
	{ { 0x00000277, 1 }, 1, 0, IN_EDX, 16 },  /* PAT */
	{ { 0x00000400, 128 }, 1, 0, IN_EDX, 7 }, /* MCE: KVM gives 32 banks unless told otherwise */
};

/* Keeps the list ascending; an index that is there already stays once. */
static err_t insert(struct msr_list *l, uint32_t index)
{
	uint32_t at = l->n;

	while (at > 0 && l->index[at - 1] > index)
		at--;
	if (at > 0 && l->index[at - 1] == index)
		return OK;
	if (l->n == X86_MSRS_MAX)
		return FAIL(ERR_INTERNAL);
	for (uint32_t i = l->n; i > at; i--)
		l->index[i] = l->index[i - 1];
	l->index[at] = index;
	l->n++;
	return OK;
}

static bool cpuid_has(const struct cpuid *c, const struct implied *m)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct x86_cpuid_entry *e = &c->entries[i];
		const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == m->function && e->index == m->index)
			return (regs[m->reg] >> m->bit) & 1;
	}
	return false;
}

err_t msr_list_make(int kvm, const struct cpuid *c, struct diag *d, struct msr_list *ret)
{
	owned_heap struct kvm_msr_list *from =
		calloc(1, sizeof(struct kvm_msr_list) + X86_MSRS_MAX * sizeof(uint32_t));
	struct msr_list list = { 0 };

	if (from == NULL)
		return FAIL(ERR_NOMEM);
	from->nmsrs = X86_MSRS_MAX;
	TRY(kvm_call(kvm, KVM_GET_MSR_INDEX_LIST, from, "KVM_GET_MSR_INDEX_LIST", d, NULL));
	for (uint32_t i = 0; i < from->nmsrs; i++) {
		if (x86_msr_is_state(from->indices[i]))
			TRY(insert(&list, from->indices[i]));
	}
	for (size_t i = 0; i < countof(implied); i++) {
		if (!cpuid_has(c, &implied[i]))
			continue;
		for (uint32_t k = 0; k < implied[i].msrs.count; k++)
			TRY(insert(&list, implied[i].msrs.first + k));
	}
	*ret = list;
	return OK;
}
