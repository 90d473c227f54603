/* SPDX-License-Identifier: Apache-2.0 */
/* System calls in the forms that the kernel takes for other programs' sake. */
#pragma once

/* As a 32-bit program: getpid. Gives what the kernel answers, which is negative where it was built
 * without. */
long foreign_getpid(void);
/* The number by which a program of the other 64-bit form makes that call. */
long foreign_number(long nr);
