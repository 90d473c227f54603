/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

/* Ascending by number. */
static const struct kvm_cap_name needed[] = {
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2" },
	{ KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR" },
	{ KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK" },
	{ KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS" },
	{ KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS" },
	{ KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
	{ KVM_CAP_XCRS, "KVM_CAP_XCRS" },
	{ KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ" },
	{ KVM_CAP_VCPU_ATTRIBUTES, "KVM_CAP_VCPU_ATTRIBUTES" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

err_t kvm_call(int fd, unsigned long request, void *arg, const char *name, struct diag *d,
	       int *ret_value)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return diag_sys(d, (err_t){ ERR_KVM, errno }, "%s failed", name);
	if (ret_value != NULL)
		*ret_value = r;
	return OK;
}

err_t kvm_open(struct diag *d, fd_t *ret_kvm)
{
	owned_fd kvm = { open("/dev/kvm", O_RDWR | O_CLOEXEC) };
	int version;

	if (!fd_is_open(kvm) && (errno == EACCES || errno == EPERM))
		return diag_fail(d, (err_t){ ERR_KVM_ACCESS, errno },
				 "/dev/kvm: no permission to open it: join the group that owns it "
				 "(`sudo usermod -aG kvm $USER`, then log in again)");
	if (!fd_is_open(kvm))
		return diag_sys(d, (err_t){ ERR_NO_KVM, errno },
				"/dev/kvm: cannot be opened (virtualisation switched off in the "
				"firmware, or the kvm module not loaded?)");
	version = ioctl(kvm.raw, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return diag_sys(d, (err_t){ ERR_NO_KVM, errno }, "/dev/kvm: is not KVM's device");
	if (version != KVM_API_VERSION)
		return diag_fail(d, FAIL(ERR_NO_KVM), "/dev/kvm: API version %d, expected %d",
				 version, KVM_API_VERSION);
	*ret_kvm = fd_take(&kvm);
	return OK;
}

int kvm_cap(int kvm, uint32_t cap)
{
	int r = ioctl(kvm, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

const struct kvm_cap_name *kvm_needed_caps(size_t *ret_n)
{
	*ret_n = countof(needed);
	return needed;
}

/* What KVM has it keeps while a process lives, so that each capability is asked for once. */
static bool has_cap(int kvm, uint32_t cap)
{
	static _Atomic uint64_t seen[8];
	uint64_t bit = UINT64_C(1) << cap % 64;
	bool known = cap / 64 < countof(seen);

	if (known && (atomic_load(&seen[cap / 64]) & bit) != 0)
		return true;
	if (kvm_cap(kvm, cap) <= 0)
		return false;
	if (known)
		(void)atomic_fetch_or(&seen[cap / 64], bit);
	return true;
}

err_t kvm_require_caps(int kvm, const uint32_t *caps, size_t n, struct diag *d)
{
	for (size_t i = 0; i < n; i++) {
		if (has_cap(kvm, caps[i]))
			continue;
		for (size_t j = 0; j < countof(needed); j++) {
			if (needed[j].cap == caps[i])
				return diag_fail(d, FAIL(ERR_KVM_CAP),
						 "this host's KVM lacks %s, which every machine needs",
						 needed[j].name);
		}
		return diag_fail(d, FAIL(ERR_KVM_CAP),
				 "this host's KVM lacks capability %" PRIu32
				 ", which the snapshot names as needed", caps[i]);
	}
	return OK;
}

err_t kvm_vm_create(int kvm, struct diag *d, fd_t *ret_vm)
{
	int fd;

	TRY(kvm_call(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM", d, &fd));
	*ret_vm = (fd_t){ fd };
	return OK;
}

err_t kvm_vm_add_ram(int vm, struct ram_region region, void *host, struct diag *d)
{
	struct kvm_userspace_memory_region slot = {
		.slot = region.kvm_slot,
		.guest_phys_addr = region.at.v,
		.memory_size = region.len.v,
		.userspace_addr = (uintptr_t)host,
	};
	err_t e = kvm_call(vm, KVM_SET_USER_MEMORY_REGION, &slot, "KVM_SET_USER_MEMORY_REGION", d,
			   NULL);

	if (e.sys == ENOMEM)
		e.code = ERR_HOST_MEMORY;
	return e;
}

err_t kvm_vm_ioeventfd(int vm, gpa_t at, uint32_t match, int eventfd, struct diag *d)
{
	struct kvm_ioeventfd io = {
		.datamatch = match,
		.addr = at.v,
		.len = 4,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return kvm_call(vm, KVM_IOEVENTFD, &io, "KVM_IOEVENTFD", d, NULL);
}

err_t kvm_vm_irqfd(int vm, gsi_t gsi, int eventfd, struct diag *d)
{
	struct kvm_irqfd irq = { .fd = (uint32_t)eventfd, .gsi = gsi.v };

	return kvm_call(vm, KVM_IRQFD, &irq, "KVM_IRQFD", d, NULL);
}

/* syscalls(control): ioctl=KVM_IRQ_LINE */
void kvm_vm_pulse(int vm, gsi_t gsi)
{
	struct kvm_irq_level line = { .irq = gsi.v, .level = 1 };

	/* Fails only where there are no chips. */
	(void)ioctl(vm, KVM_IRQ_LINE, &line);
	line.level = 0;
	(void)ioctl(vm, KVM_IRQ_LINE, &line);
}

err_t kvm_vcpu_create(int kvm, int vm, vcpu_id id, struct diag *d, struct kvm_vcpu *ret_vcpu)
{
	owned_fd fd = FD_NONE;
	int len;
	void *run;

	TRY(kvm_call(vm, KVM_CREATE_VCPU, (void *)(uintptr_t)id.v, "KVM_CREATE_VCPU", d, &fd.raw));
	TRY(kvm_call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE", d, &len));
	run = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, fd.raw, 0);
	if (run == MAP_FAILED)
		return diag_sys(d, FAIL_SYS(errno), "mapping vCPU %" PRIu32 "'s run area", id.v);
	*ret_vcpu = (struct kvm_vcpu){ fd_take(&fd), { run, (size_t)len } };
	return OK;
}

void kvm_vcpu_drop(struct kvm_vcpu *v)
{
	map_drop(&v->run);
	fd_drop(&v->fd);
}
