/* SPDX-License-Identifier: Apache-2.0 */
/* A queue is not a vCPU. */
/* EXPECT: incompatible type for argument|passing '.*' to parameter of incompatible type */
#include "plan/image.h"

const struct vcpu_x86_64 *state_of(const struct image *i, vcpu_id cpu, queue_id queue);

const struct vcpu_x86_64 *state_of(const struct image *i, vcpu_id cpu, queue_id queue)
{
#ifdef MISUSE
	(void)cpu;
	return image_vcpu(i, queue);
#else
	(void)queue;
	return image_vcpu(i, cpu);
#endif
}
