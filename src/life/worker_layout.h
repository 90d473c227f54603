/* SPDX-License-Identifier: Apache-2.0 */
/* What all workers of a kit have in common before they are born: what KVM answered, and the blank image
 * (life/blank.h) of their durable layout. Between processes of one build, which trust each other; the
 * image is judged like any other. */
#pragma once

#include "base/own.h"
#include "plan/image.h"

must_check err_t worker_layout_write(const struct image *like, int kvm, struct diag *d,
				     fd_t *ret_memfd);
/* Once in a process, which has KVM's answers afterwards. */
must_check err_t worker_layout_read(int memfd, struct diag *d, const struct image **ret_layout);
