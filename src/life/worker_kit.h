/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor starts workers with. */
#pragma once

#include "base/own.h"
#include "life/nursery.h"
#include "plan/image.h"

/* What all workers of one durable layout are given: /dev/kvm, the layout, an empty network namespace,
 * a cgroup; all open; and the nursery that they are born in. Any thread. */
struct worker_kit;
struct worker_kit_options {
	const char *program;   /* path of spore-worker */
	uint32_t without;      /* walls that are not wanted: JAIL_WITHOUT(...) | ... */
	int cgroup;            /* duplicated; -1: none */
	uint32_t patience_ms;  /* with one that does not answer, which is killed then: life/patience.h */
};
must_check err_t worker_kit_new(const struct image *like, const struct worker_kit_options *o,
				struct diag *d, struct worker_kit **ret_kit);
/* References. The last one goes after the workers that were started; accepts NULL. */
struct worker_kit *worker_kit_again(struct worker_kit *k);
void worker_kit_free(struct worker_kit *k);

/* A worker's process, confined but for what it does to itself, and our end of its socket. */
must_check err_t worker_kit_bear(struct worker_kit *k, struct diag *d, struct born *ret_born,
				 fd_t *ret_socket);
uint32_t worker_kit_patience_ms(const struct worker_kit *k);
/* Borrowed: what it is to be given first. */
int worker_kit_kvm(const struct worker_kit *k);
int worker_kit_faults(const struct worker_kit *k); /* /dev/userfaultfd, or -1 */
/* An empty file for the private layer of each disk. What a failure leaves is dropped all the same. */
struct zygote_layers;
must_check err_t worker_kit_layers_new(struct worker_kit *k, struct diag *d,
				       struct zygote_layers *ret);
/* For the next: those of a worker that is gone, if no zygote was made of it. Takes them. */
void worker_kit_layers_back(struct worker_kit *k, struct zygote_layers *l);
