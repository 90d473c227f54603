/* SPDX-License-Identifier: Apache-2.0 */
/* struct kvm_run -> struct vcpu_exit. The run area is shared with the kernel alone, but offsets in
 * it are still checked against its size before they are followed. */
#include "machine/vcpu/exit.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "machine/kvm/kvm.h"

static void port_exit(const struct kvm_vcpu *v, struct kvm_run *run, struct vcpu_exit *ret)
{
	uint64_t bytes = (uint64_t)run->io.size * run->io.count;

	if (!range_holds(0, v->run.len, run->io.data_offset, bytes)) {
		ret->kind = EXIT_UNKNOWN;
		return;
	}
	ret->kind = run->io.direction == KVM_EXIT_IO_OUT ? EXIT_PORT_OUT : EXIT_PORT_IN;
	ret->arch = (struct exit_arch){ run->io.port, run->io.count };
	ret->data = (uint8_t *)run + run->io.data_offset;
	ret->len = run->io.size;
}

static void mmio_exit(struct kvm_run *run, struct vcpu_exit *ret)
{
	if (run->mmio.len > sizeof run->mmio.data) {
		ret->kind = EXIT_UNKNOWN;
		return;
	}
	ret->kind = run->mmio.is_write ? EXIT_MMIO_WRITE : EXIT_MMIO_READ;
	ret->at = GPA(run->mmio.phys_addr);
	ret->data = run->mmio.data;
	ret->len = run->mmio.len;
}

static enum exit_kind system_event(const struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return EXIT_POWEROFF;
	case KVM_SYSTEM_EVENT_RESET:
		return EXIT_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return EXIT_CRASH;
	default:
		return EXIT_UNKNOWN;
	}
}

/* syscalls(vcpu): ioctl=KVM_RUN */
void vcpu_enter(const struct kvm_vcpu *v, struct vcpu_exit *ret)
{
	struct kvm_run *run = v->run.base;

	*ret = (struct vcpu_exit){ .kind = EXIT_NONE };
	if (ioctl(v->fd.raw, KVM_RUN, 0) < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return;
		ret->kind = EXIT_FAULT;
		ret->sys = errno;
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		port_exit(v, run, ret);
		return;
	case KVM_EXIT_MMIO:
		mmio_exit(run, ret);
		return;
	case KVM_EXIT_INTR:
		return;
	case KVM_EXIT_SHUTDOWN:
		ret->kind = EXIT_CRASH;
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		ret->kind = system_event(run);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		ret->kind = EXIT_INTERNAL;
		ret->detail[0] = run->internal.suberror;
		return;
	case KVM_EXIT_FAIL_ENTRY:
		ret->kind = EXIT_INTERNAL;
		ret->detail[0] = run->fail_entry.hardware_entry_failure_reason;
		return;
	default:
		ret->kind = EXIT_UNKNOWN;
		ret->detail[0] = run->exit_reason;
		return;
	}
}

void vcpu_set_immediate_exit(const struct kvm_vcpu *v, bool on)
{
	struct kvm_run *run = v->run.base;

	__atomic_store_n(&run->immediate_exit, on ? 1 : 0, __ATOMIC_SEQ_CST);
}
