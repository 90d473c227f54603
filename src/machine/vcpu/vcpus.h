/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU threads of one machine: each runs its vCPU or is parked.
 *
 * Theory of operation. A thread leaves the guest when it is signalled; `immediate_exit` closes the
 * race with a thread that was just about to enter. One more KVM_RUN with immediate_exit set then
 * completes whatever access the last exit reported, so that the saved registers are those after
 * it. The signal is SIGRTMIN; its handler does nothing and is installed once, only where the
 * process has none. */
#pragma once

#include "machine/kvm/kvm.h"
#include "machine/vcpu/exit.h"
#include "machine/vcpu/quiesced.h"

struct vcpus;

/* What the machine does with an exit, called on the vCPU's thread. Returns false when the guest
 * must not be entered again (the machine has ended): all vCPUs then park. */
struct exit_handler {
	bool (*handle)(void *ctx, vcpu_id id, const struct vcpu_exit *exit);
	void *ctx;
};

/* Creates n vCPUs (which belong to the result) and a parked thread for each. */
must_check err_t vcpus_new(int kvm, int vm, uint32_t n, struct exit_handler handler, struct diag *d,
			   struct vcpus **ret_vcpus);
/* Parks and ends the threads first; accepts NULL. */
void vcpus_free(struct vcpus *v);

uint32_t vcpus_count(const struct vcpus *v);
const struct kvm_vcpu *vcpus_at(const struct vcpus *v, vcpu_id id);

void vcpus_resume(struct vcpus *v);
/* The machine has ended: no thread enters the guest again, whoever resumes it. Does not wait for
 * those on their way out, so it may be called while one of them is held up in its exit handler. */
void vcpus_halt(struct vcpus *v);
/* When the boot processor first entered the guest, in ns of CLOCK_MONOTONIC; waits for it while
 * vCPUs are meant to run. 0: it has not. */
uint64_t vcpus_first_entry(struct vcpus *v);
/* When it first came out by what it did itself; does not wait. 0: it has not. */
uint64_t vcpus_first_exit(struct vcpus *v);
/* Returns once every thread is out of the guest and stays out. Idempotent. Never called from a
 * vCPU's own thread. */
struct quiesced vcpus_park(struct vcpus *v);
/* The same of a machine that has ended by what a vCPU did: that one sends the others out, so this only
 * waits. */
void vcpus_wait_parked(struct vcpus *v);
/* Done by each vCPU's own thread while it is parked; returns the first failure. */
typedef err_t vcpu_errand(const struct kvm_vcpu *v, vcpu_id id);
must_check err_t vcpus_each(struct vcpus *v, struct quiesced q, vcpu_errand *errand);
/* Enters the guest of a machine without memory once, for what KVM makes at the first entry alone.
 * Only before anything is loaded. */
void vcpus_warm(struct vcpus *v, struct quiesced q);
/* Has each thread take the filter of its kind (machine/jail/filter.h). From then on none of them can
 * end but with its process: nothing of this is freed. */
must_check err_t vcpus_confine(struct vcpus *v, struct quiesced q, struct diag *d);
