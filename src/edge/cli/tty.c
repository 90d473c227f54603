/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/tty.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"

enum { CTRL_A = 1 };

/* The terminal belongs to the process, and so does what it was like. */
static struct termios before;
static bool is_raw;

bool tty_is_ours(void)
{
	return isatty(STDIN_FILENO) != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void tty_restore(void)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	is_raw = false;
}

/* tcsetattr and raise may be called here (signal-safety(7)). */
static void on_death(int sig)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	(void)raise(sig);
}

/* Those that end the process and that nobody else handles; SIGBUS is the library's. */
static void restore_on_death(void)
{
	static const int deaths[] = { SIGSEGV, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGUSR1,
				      SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU };
	/* The default action comes with the second one, when the handler returns. */
	const struct sigaction act = { .sa_handler = on_death, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	for (size_t i = 0; i < countof(deaths); i++)
		if (sigaction(deaths[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(deaths[i], &act, NULL);
}

void tty_raw(void)
{
	static bool registered;
	struct termios t;

	if (is_raw || tcgetattr(STDIN_FILENO, &before) != 0)
		return;
	t = before;
	cfmakeraw(&t);
	/* Lines of our own, and of a guest that sends bare newlines, still start at the left. */
	t.c_oflag |= OPOST | ONLCR;
	if (!registered) {
		(void)atexit(tty_restore);
		restore_on_death();
	}
	registered = true;
	is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
}

static enum key_action action_of(uint8_t key)
{
	switch (key) {
	case 'x': return KEY_STOP;
	case 'd': return KEY_DETACH;
	case 'h':
	case '?': return KEY_HELP;
	default: return KEY_NONE;
	}
}

enum key_action keys_filter(struct keys *k, const uint8_t *in, size_t n, uint8_t *ret,
			    size_t *ret_n, size_t *ret_used)
{
	size_t out = 0, i = 0;
	enum key_action action = KEY_NONE;

	while (i < n && action == KEY_NONE) {
		uint8_t b = in[i++];

		if (!k->escaped) {
			k->escaped = b == CTRL_A;
			if (!k->escaped)
				ret[out++] = b;
			continue;
		}
		k->escaped = false;
		action = action_of(b);
		/* Ctrl-A a, or Ctrl-A twice: a plain Ctrl-A. Another key: both were meant. */
		if (action == KEY_NONE)
			ret[out++] = CTRL_A;
		if (action == KEY_NONE && b != 'a' && b != CTRL_A)
			ret[out++] = b;
	}
	*ret_n = out;
	*ret_used = i;
	return action;
}
