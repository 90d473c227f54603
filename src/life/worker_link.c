/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_link.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr head; /* for its alignment */
	uint8_t room[CMSG_SPACE(LINK_FDS_ROOM * sizeof(int))];
};
static_assert(CMSG_SPACE(LINK_FDS_ROOM * sizeof(int)) == CMSG_LEN(LINK_FDS_ROOM * sizeof(int)),
	      "there is no room for one more in the padding");

struct packet {
	const void *bytes;
	size_t len;
	const int *fds;
	uint32_t n;
};

/* syscalls(control): sendmsg */
static err_t deliver(int socket, const struct packet *p, int flags, struct diag *d)
{
	union control control;
	struct iovec iov = { (void *)(uintptr_t)p->bytes, p->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (p->n > LINK_FDS_MAX)
		return diag_fail(d, FAIL(ERR_SIZE), "%u descriptors are too many for one message", p->n);
	if (p->n > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(p->n * sizeof(int));
		memset(&control, 0, msg.msg_controllen);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(p->n * sizeof(int));
		memcpy(CMSG_DATA(&control.head), p->fds, p->n * sizeof(int));
	}
	do
		sent = sendmsg(socket, &msg, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return diag_fail(d, FAIL(ERR_REMOTE), "the worker is gone");
	if (sent < 0)
		return diag_sys(d, FAIL_SYS(errno), "sending to a worker");
	return OK;
}

err_t link_send(int socket, const void *bytes, size_t len, const int *fds, uint32_t n,
		struct diag *d)
{
	return deliver(socket, &(struct packet){ bytes, len, fds, n }, 0, d);
}

err_t link_send_now(int socket, const void *bytes, size_t len, const int *fds, uint32_t n,
		    struct diag *d)
{
	return deliver(socket, &(struct packet){ bytes, len, fds, n }, MSG_DONTWAIT, d);
}

static void take_fds(struct msghdr *msg, struct link_in *in)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++)
			memcpy(&in->fd[in->n++].raw, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

/* There is room for all that the kernel carries: if it cut descriptors off, it is because this process
 * may have no more. */
static err_t judge(const struct link_in *in, int flags, struct diag *d)
{
	if ((flags & MSG_TRUNC) != 0 || in->n > LINK_FDS_MAX)
		return diag_fail(d, FAIL(ERR_SIZE), "a message that is too long");
	if (in->len == 0 && (in->n != 0 || (flags & MSG_CTRUNC) != 0))
		return diag_fail(d, FAIL(ERR_MISSING), "descriptors without a message");
	if ((flags & MSG_CTRUNC) != 0)
		return diag_sys(d, FAIL_SYS(EMFILE), "receiving descriptors");
	return OK;
}

/* syscalls(control): recvmsg */
err_t link_receive(int socket, struct diag *d, struct link_in *ret)
{
	union control control;
	struct iovec iov = { ret->bytes, sizeof ret->bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof control };
	ssize_t got;
	err_t e;

	ret->len = 0;
	ret->n = 0;
	ret->cut = false;
	/* ECONNRESET is said once, of one that left something unread, before what it had said. */
	do
		got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return diag_sys(d, FAIL_SYS(errno), "receiving from a worker");
	take_fds(&msg, ret);
	ret->len = (size_t)got;
	e = judge(ret, msg.msg_flags, d);
	ret->cut = e.sys == EMFILE;
	if (failed(e))
		link_drop(ret);
	return e;
}

void link_drop(struct link_in *in)
{
	for (uint32_t i = 0; i < in->n; i++)
		fd_drop(&in->fd[i]);
	in->n = 0;
}

err_t link_peer_check(int socket, const char *what, struct diag *d)
{
	struct ucred who = { .uid = 0 };
	socklen_t len = sizeof who;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: SO_PEERCRED", what);
	if (who.uid != geteuid())
		return diag_fail(d, FAIL(ERR_STATE), "%s: the other end belongs to user %" PRIu32
				 ", expected %" PRIu32, what, (uint32_t)who.uid, (uint32_t)geteuid());
	return OK;
}
