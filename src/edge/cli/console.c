/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <spore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"
#include "edge/cli/signals.h"
#include "edge/cli/tty.h"

struct link {
	int socket;
	bool raw;
	struct keys keys;
};

static bool write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n != 0) {
		ssize_t w = write(fd, bytes, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		bytes += w;
		n -= (size_t)w;
	}
	return true;
}

/* False: the machine's side has closed, or nobody reads our output. */
static bool from_guest(const struct link *l)
{
	uint8_t bytes[16384];
	ssize_t n = recv(l->socket, bytes, sizeof bytes, 0);

	if (n < 0 && errno == EINTR)
		return true;
	return n > 0 && write_all(STDOUT_FILENO, bytes, (size_t)n);
}

enum typed { TYPED_ON, TYPED_END, TYPED_LEAVE };

static enum typed to_guest(struct link *l, const uint8_t *bytes, size_t n)
{
	uint8_t out[514];
	size_t done = 0;

	while (done < n) {
		size_t n_out = n - done, used = n - done;
		enum key_action action = KEY_NONE;

		if (l->raw)
			action = keys_filter(&l->keys, bytes + done, n - done, out, &n_out, &used);
		else
			memcpy(out, bytes + done, n_out);
		done += used;
		if (!write_all(l->socket, out, n_out))
			return TYPED_END;
		if (action == KEY_DETACH)
			return TYPED_LEAVE;
		if (action != KEY_NONE)
			(void)fprintf(stderr, "\r\n[Ctrl-A d: leave the console; "
				      "Ctrl-A a: a plain Ctrl-A]\r\n");
	}
	return TYPED_ON;
}

static enum typed from_terminal(struct link *l)
{
	uint8_t bytes[512];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

	if (n < 0 && errno == EINTR)
		return TYPED_ON;
	if (n <= 0)
		return TYPED_END;
	return to_guest(l, bytes, (size_t)n);
}

/* Until the machine ends, the user leaves, or a signal comes. */
static void converse(struct link *l, int signals)
{
	struct pollfd p[] = {
		{ .fd = l->socket, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};

	for (;;) {
		if (poll(p, countof(p), -1) < 0 && errno != EINTR)
			return;
		if (p[2].revents != 0 || (p[0].revents != 0 && !from_guest(l)))
			return;
		if (p[1].revents == 0)
			continue;
		switch (from_terminal(l)) {
		case TYPED_ON:
			break;
		case TYPED_END:
			/* Nothing more to type: what the guest says is still shown. */
			p[1].fd = -1;
			break;
		case TYPED_LEAVE:
			return;
		}
	}
}

static int run(const void *values, const char *operand)
{
	struct link l = { .socket = -1 };
	struct spore_error err;
	spore_machine *m;
	owned_fd signals = FD_NONE, socket = FD_NONE;

	(void)values;
	if (spore_machine_open(operand, &m, &err) != SPORE_OK)
		return say_failure("console", &err);
	if (spore_console_attach(m, &socket.raw, &err) != SPORE_OK) {
		spore_machine_free(m);
		return say_failure("console", &err);
	}
	l.socket = socket.raw;
	signals.raw = signals_open();
	l.raw = tty_is_ours();
	if (l.raw)
		tty_raw();
	converse(&l, signals.raw);
	tty_restore();
	spore_machine_free(m);
	return STATUS_OK;
}

const struct command command_console = {
	.name = "console", .operand = "NAME",
	.summary = "attach to a machine's console",
	.details = "First the last 64 KiB that the guest wrote are shown. Ctrl-A d leaves, Ctrl-A a types a\n"
		   "Ctrl-A. One client at a time.",
	.run = run,
};
