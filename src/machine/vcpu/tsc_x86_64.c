/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's TSC: what it counts from, and how fast. IA32_TSC is never written: KVM would try to guess a
 * synchronisation and override the offset. */
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "machine/vcpu/vcpu_parts_x86_64.h"
#include "wire/msr_x86_64.h"

enum { TSC_TOLERANCE_PPM = 250 };

err_t tsc_offset(const struct kvm_vcpu *v, unsigned long call, uint64_t *offset, struct diag *d)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return kvm_call(v->fd.raw, call, &attr, "KVM_VCPU_TSC_OFFSET", d, NULL);
}

/* syscalls(control): ioctl=KVM_GET_DEVICE_ATTR ioctl=KVM_GET_MSRS */
/* A guest TSC is host TSC (scaled, where it is) plus the offset. Where it is, one reading on one vCPU
 * gives the scaled host TSC, and nothing here needs to know the ratio. */
err_t tsc_base(const struct kvm_vcpu *any, bool is_scaled, struct diag *d, uint64_t *ret_now)
{
	uint64_t offset, now;

	if (!is_scaled) {
		*ret_now = __builtin_ia32_rdtsc();
		return OK;
	}
	TRY(tsc_offset(any, KVM_GET_DEVICE_ATTR, &offset, d));
	TRY(msr_read(any, MSR_IA32_TSC, d, &now));
	*ret_now = now - offset;
	return OK;
}

uint64_t tsc_cycles(uint64_t ns, uint32_t khz)
{
	return (uint64_t)((unsigned __int128)ns * khz / 1000000);
}

uint32_t vcpu_tsc_khz(const struct kvm_vcpu *v)
{
	int khz = ioctl(v->fd.raw, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

static bool khz_close(uint32_t a, uint32_t b)
{
	uint64_t apart = a > b ? a - b : b - a;

	return apart * 1000000 <= (uint64_t)b * TSC_TOLERANCE_PPM;
}

bool vcpu_tsc_is_scaled(const struct vcpu_host *h, uint32_t khz)
{
	return khz != 0 && h->tsc_khz != 0 && !khz_close(khz, h->tsc_khz);
}
