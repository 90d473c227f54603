/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "machine/kvm/host_arch.h"
#include "machine/kvm/kvm.h"

static bool read_tsc(int vcpu, uint64_t *ret)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} m = { .head.nmsrs = 1 };

	m.head.entries[0].index = 0x10; /* IA32_TIME_STAMP_COUNTER */
	if (ioctl(vcpu, KVM_GET_MSRS, &m) != 1)
		return false;
	*ret = m.head.entries[0].data;
	return true;
}

/* Half the counter's range: no time that passes between two readings explains it. */
#define SHIFT (UINT64_C(1) << 63)

bool host_tsc_offset_works(int kvm)
{
	struct kvm_vcpu v = { FD_NONE, MAP_NONE };
	owned_fd vm = FD_NONE;
	uint64_t offset = 0, before = 0, after = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset,
	};
	bool works = false;

	if (failed(kvm_vm_create(kvm, NULL, &vm)) ||
	    failed(kvm_vcpu_create(kvm, vm.raw, (vcpu_id){ 0 }, NULL, &v)))
		return false;
	if (read_tsc(v.fd.raw, &before) && ioctl(v.fd.raw, KVM_GET_DEVICE_ATTR, &attr) == 0) {
		offset += SHIFT;
		works = ioctl(v.fd.raw, KVM_SET_DEVICE_ATTR, &attr) == 0 &&
			read_tsc(v.fd.raw, &after) && ((after - before) & SHIFT) != 0;
	}
	kvm_vcpu_drop(&v);
	return works;
}
