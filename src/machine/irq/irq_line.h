/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt as a device sees it: an eventfd. machine/irq binds it to a GSI as an irqfd; a
 * device that raises it knows nothing of KVM. All of a machine's lines are edges: a raise is never
 * taken back, and one too many does no harm. */
#pragma once

#include <unistd.h>

#include "base/check.h"

struct irq_line { int fd; }; /* borrowed; non-blocking */

/* syscalls(vcpu, device, control): write */
/* Any thread. The only way for the write to fail is a counter that nobody has read yet: then the
 * interrupt is already on its way. */
static inline void irq_raise(struct irq_line l)
{
	uint64_t one = 1;
	ssize_t n = write(l.fd, &one, sizeof one);

	(void)n;
}
