/* SPDX-License-Identifier: Apache-2.0 */
/* A machine becomes a zygote in another process of the same user, or is branched for it: handoff.sock, a SOCK_SEQPACKET socket
 * beside a machine's control socket. One packet of JSON each way; what is answered with has the zygote's
 * files beside it (life/parcel.h), or is a fault. Neither end believes the other: who it is is asked of
 * the kernel, and what is received is judged as a zygote from a worker is. */
#pragma once

#include <spore.h>

#include "base/diag.h"

struct zygote;

/* The machine's end, with a request to be read: does what it says and answers. *ret_frozen: the machine
 * is gone, and somebody has the zygote. OK with false: it goes on, branched, or the caller has been told
 * why not. */
must_check err_t handoff_give(int socket, spore_machine *m, struct diag *d, bool *ret_frozen);
/* `branch`: it goes on. *ret_pause_ns: for how long it stood still then. */
struct handoff_ask { bool pause, branch; };
must_check err_t handoff_receive(int socket, struct handoff_ask ask, struct diag *d,
				 struct zygote **ret_zygote, uint64_t *ret_pause_ns);
