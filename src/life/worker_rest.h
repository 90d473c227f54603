/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does with the memory that it no longer needs: a machine of which nothing is asked takes
 * none for what was asked before. */
#pragma once

/* On the worker's first thread, not deep in its stack. */
void worker_rest(void);
