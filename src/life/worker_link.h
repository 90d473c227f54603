/* SPDX-License-Identifier: Apache-2.0 */
/* One packet with descriptors over a SOCK_SEQPACKET socket. Both ends. */
#pragma once

#include "base/own.h"
#include "wire/worker_msg.h"

enum { LINK_FDS_MAX = 248 };
enum { LINK_FDS_ROOM = 254 }; /* more than one packet can carry: SCM_MAX_FD is 253 */

struct link_in {
	size_t len;   /* 0: the other end is gone */
	fd_t fd[LINK_FDS_ROOM];
	uint32_t n;
	bool cut;     /* this process has no room for its descriptors: the bytes came, and none of those */
	uint8_t bytes[WORKER_MSG_MAX]; /* last: few messages are long */
};

/* `fds` are borrowed. ERR_REMOTE when the other end is gone. */
must_check err_t link_send(int socket, const void *bytes, size_t len, const int *fds, uint32_t n,
			   struct diag *d);
/* The same, but never waits: EAGAIN when too much of what was sent before has not been read. */
must_check err_t link_send_now(int socket, const void *bytes, size_t len, const int *fds, uint32_t n,
			       struct diag *d);
/* Waits for one. Descriptors are the caller's: link_drop. What came cut short is refused; with EMFILE
 * that was our doing (in->cut). A failure leaves none. */
must_check err_t link_receive(int socket, struct diag *d, struct link_in *ret);
void link_drop(struct link_in *in);

/* Is the other end a process of this user's? `what` begins the sentence when not. */
must_check err_t link_peer_check(int socket, const char *what, struct diag *d);
