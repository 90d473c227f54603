/* SPDX-License-Identifier: Apache-2.0 */
/* MSRs: Intel SDM volume 4, AMD APM volume 2 appendix A, Documentation/virt/kvm/x86/msr.rst. */
#include "machine/vcpu/msr_x86_64.h"

#include <inttypes.h>
#include <linux/kvm.h>

#include "base/heap.h"
#include "machine/kvm/kvm.h"
#include "machine/vcpu/vcpu_parts_x86_64.h"
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

/* ---- their values ---- */

union msr_batch {
	struct kvm_msrs head; /* its entries fill the room */
	uint8_t room[sizeof(struct kvm_msrs) + X86_MSRS_MAX * sizeof(struct kvm_msr_entry)];
};

err_t msrs_get(const struct kvm_vcpu *v, const struct msr_list *l, struct vcpu_x86_64 *to,
	       struct diag *d)
{
	union msr_batch b;
	int done;

	b.head.nmsrs = l->n;
	b.head.pad = 0;
	for (uint32_t i = 0; i < l->n; i++)
		b.head.entries[i] = (struct kvm_msr_entry){ .index = l->index[i] };
	TRY(kvm_call(v->fd.raw, KVM_GET_MSRS, &b, "KVM_GET_MSRS", d, &done));
	if ((uint32_t)done != l->n)
		return diag_fail(d, FAIL(ERR_KVM), "KVM_GET_MSRS: MSR %#" PRIx32 " cannot be read",
				 l->index[done]);
	to->n_msrs = l->n;
	for (uint32_t i = 0; i < l->n; i++)
		to->msrs[i] = (struct x86_msr){ l->index[i], b.head.entries[i].data };
	return OK;
}

/* Both lists ascend: *io_at goes along. */
static bool msr_is_fresh(const struct vcpu_fresh *fresh, const struct x86_msr *m, uint32_t *io_at)
{
	if (fresh == NULL)
		return false;
	while (*io_at < fresh->n_msrs && fresh->msrs[*io_at].index < m->index)
		(*io_at)++;
	return *io_at < fresh->n_msrs && fresh->msrs[*io_at].index == m->index &&
	       fresh->msrs[*io_at].value == m->value;
}

/* Sets those that the vCPU does not hold, in one call, which takes them in their order: TSC_DEADLINE
 * last. */
err_t msrs_set(const struct kvm_vcpu *v, const struct vcpu_x86_64 *from,
	       const struct vcpu_fresh *fresh, struct diag *d)
{
	const struct x86_msr *deadline = NULL;
	union msr_batch b;
	uint32_t n = 0, at = 0;
	int done;

	for (uint32_t i = 0; i < from->n_msrs; i++) {
		const struct x86_msr *m = &from->msrs[i];

		if (msr_is_fresh(fresh, m, &at))
			continue;
		if (m->index == MSR_IA32_TSC_DEADLINE)
			deadline = m;
		else
			b.head.entries[n++] = (struct kvm_msr_entry){ .index = m->index,
								 .data = m->value };
	}
	if (deadline != NULL)
		b.head.entries[n++] = (struct kvm_msr_entry){ .index = deadline->index,
							 .data = deadline->value };
	if (n == 0)
		return OK;
	b.head.nmsrs = n;
	b.head.pad = 0;
	TRY(kvm_call(v->fd.raw, KVM_SET_MSRS, &b, "KVM_SET_MSRS", d, &done));
	if ((uint32_t)done != n)
		return diag_field(d, FAIL(ERR_CPU_FEATURE), "vcpu", "msrs",
				  "this host does not take MSR %#" PRIx32 " = %#" PRIx64,
				  b.head.entries[done].index, (uint64_t)b.head.entries[done].data);
	return OK;
}

err_t msr_read(const struct kvm_vcpu *v, uint32_t index, struct diag *d, uint64_t *ret)
{
	union msr_batch b;
	int done;

	b.head.nmsrs = 1;
	b.head.pad = 0;
	b.head.entries[0] = (struct kvm_msr_entry){ .index = index };
	TRY(kvm_call(v->fd.raw, KVM_GET_MSRS, &b, "KVM_GET_MSRS", d, &done));
	if (done != 1)
		return diag_fail(d, FAIL(ERR_KVM), "KVM_GET_MSRS: MSR %#" PRIx32 " cannot be read",
				 index);
	*ret = b.head.entries[0].data;
	return OK;
}
