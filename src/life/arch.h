/* SPDX-License-Identifier: Apache-2.0 */
/* What the life of a machine asks of its architecture: one arch_<arch>.c answers, chosen by the
 * build. The order in which these are called is the order in which KVM wants them. */
#pragma once

#include "base/bytes.h"
#include "life/vm_internal.h"
#include "plan/image.h"

struct arch_host; /* what this host's KVM offers, asked once per machine */
must_check err_t arch_host_new(int kvm, struct diag *d, struct arch_host **ret_host);
void arch_host_free(struct arch_host *h);
/* What KVM answered, as bytes for another process of this build: asking costs a third of a millisecond
 * where the host is a guest itself. ERR_SIZE, ERR_RANGE: they are of another build. */
size_t arch_answers_len(void);
must_check err_t arch_answers_get(int kvm, struct diag *d, void *ret_bytes);
must_check err_t arch_answers_know(struct cur in, struct diag *d);

/* Interrupt chip and timers: after RAM, before vCPUs. */
must_check err_t arch_create_chips(int vm, struct diag *d);
/* Processors of a machine that is about to boot; the boot processor's entry comes with the kernel. */
must_check err_t arch_init_vcpus(struct vm *vm, struct diag *d);
/* Loads kernel, initrd and tables into RAM and sets the boot processor's registers. */
struct boot_request;
must_check err_t arch_load_kernel(struct vm *vm, const struct boot_request *boot, struct diag *d);

/* Can this host run that image? Touches nothing; each missing thing is named. */
must_check err_t arch_judge(const struct arch_host *h, const struct image *i, struct diag *d);
/* Makes the processors those of an image, if this host can run it. */
must_check err_t arch_shape(struct vm *vm, const struct image *i, struct diag *d);
/* Are they? ERR_CPU_FEATURE naming the first difference. */
must_check err_t arch_fits(const struct vm *vm, const struct image *i, struct diag *d);
/* Of a shell: does before what every first entry does, and notes what need not be loaded. */
must_check err_t arch_warm(struct vm *vm, struct diag *d);
/* The same between two images. */
must_check err_t arch_alike(const struct image *have, const struct image *i, struct diag *d);
/* Everything that does not count in host time; then, just before the first run, the rest. */
must_check err_t arch_load(struct vm *vm, const struct image *i, struct diag *d);
must_check err_t arch_load_time(struct vm *vm, const struct image *i, struct diag *d);

/* Tells the guests' watchdogs, before it goes on, that it was paused. */
void arch_notify_paused(struct vm *vm);

/* Freezes processors, then chips and clock, into memory; then each is encoded by section. */
struct arch_state;
must_check err_t arch_save(struct vm *vm, struct quiesced q, struct diag *d,
			   struct arch_state **ret_state);
void arch_state_free(struct arch_state *s);
/* kind is VCPU (with the vCPU's index), IRQCHIP, CLOCK or INVENTORY. */
void arch_encode(const struct vm *vm, const struct arch_state *s, struct snap_row_id id,
		 struct out *o);

/* The same for a machine like that one in which nothing has happened yet. */
must_check err_t arch_encode_blank(const struct image *like, struct snap_row_id id, struct out *o);

/* An exit that only this architecture has. False: the guest must not be entered again. */
bool arch_exit(struct vm *vm, const struct vcpu_exit *exit);
