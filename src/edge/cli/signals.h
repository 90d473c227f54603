/* SPDX-License-Identifier: Apache-2.0 */
/* What asks a command to end: SIGTERM, SIGINT, SIGHUP, SIGQUIT. */
#pragma once

/* A descriptor (signalfd) to hear them by, for which they are blocked in the calling thread and in those
 * that it makes from then on; reading it does not wait. -1 when there is none to be had. */
int signals_open(void);
