/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.c: three generations of processes pass a number round through pipes; each adds one and
 * checks what it gets.  At the end each process reaps its own children.
 */
#include "prop.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES = 7, ROUNDS_BEFORE = 10, ROUNDS_AFTER = 100, STOP = -1 };

static int pipes[NODES][2];

static long number_get(int node)
{
	long n;
	struct pollfd p = { .fd = pipes[node][0], .events = POLLIN };
	if (poll(&p, 1, PROP_PATIENCE_S * 1000) != 1)
		prop_fail("process %d waited %d s for its pipe", node, PROP_PATIENCE_S);
	PROP_NEED(read(pipes[node][0], &n, sizeof n) == sizeof n);
	return n;
}

static void number_put(int node, long n)
{
	PROP_NEED(write(pipes[node % NODES][1], &n, sizeof n) == sizeof n);
}

static void node_run(int node, pid_t parent);

static void child_start(int node, pid_t *ret)
{
	pid_t me = getpid(), child = fork();
	PROP_NEED(child >= 0);
	if (child == 0)
		node_run(node, me);
	*ret = child;
}

static void child_reap(int node, pid_t child)
{
	int status;
	PROP_NEED(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != node)
		prop_fail("process %d ended with wait status %#x", node, status);
}

static void children_start(int node, pid_t ret[2])
{
	for (int i = 0; i < 2; i++)
		if (2 * node + 1 + i < NODES)
			child_start(2 * node + 1 + i, &ret[i]);
}

static void children_reap(int node, const pid_t child[2])
{
	for (int i = 0; i < 2; i++)
		if (2 * node + 1 + i < NODES)
			child_reap(2 * node + 1 + i, child[i]);
}

static void node_run(int node, pid_t parent)
{
	pid_t child[2];
	children_start(node, child);
	for (long expected = node; ; expected += NODES) {
		long n = number_get(node);
		if (n != STOP && n != expected)
			prop_fail("process %d got %ld instead of %ld", node, n, expected);
		if (getppid() != parent)
			prop_fail("process %d has another parent", node);
		number_put(node + 1, n == STOP ? STOP : n + 1);
		if (n == STOP)
			break;
	}
	children_reap(node, child);
	_exit(node);
}

static long round_go(long n)
{
	number_put(1, n + 1);
	long back = number_get(0);
	if (back != n + NODES)
		prop_fail("%ld came back as %ld", n, back);
	return back;
}

int tree_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	pid_t child[2];
	long n = 0;
	for (int i = 0; i < NODES; i++)
		PROP_NEED(pipe(pipes[i]) == 0);
	children_start(0, child);
	for (int i = 0; i < ROUNDS_BEFORE; i++)
		n = round_go(n);
	prop_say("set");

	while (*prop_order_page() == '\0') {
		n = round_go(n);
		prop_pause_ms(2);
	}
	if (prop_told_to_spoil())
		n++;
	for (int i = 0; i < ROUNDS_AFTER; i++)
		n = round_go(n);
	number_put(1, STOP);
	if (number_get(0) != STOP)
		prop_fail("the stop did not come back");
	children_reap(0, child);
	prop_ok("%d processes, %ld hops", NODES, n);
}
