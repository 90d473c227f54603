/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/cli/say.h"

/* The grandchild shares the caller's output until its verdict, so what it says about an error needs
 * no carrying; a grandchild that dies says nothing and the pipe closes. */
static int verdict_wait(int fd, pid_t child)
{
	uint8_t status;
	ssize_t n;
	int how;

	do
		n = read(fd, &status, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return status;
	while (waitpid(child, &how, 0) < 0 && errno == EINTR)
		;
	return STATUS_MONITOR;
}

static int status_fd = -1;

/* Whatever the grandchild exits with before the verdict is the verdict. */
static void verdict_at_exit(int status, void *unused)
{
	uint8_t byte = (uint8_t)status;

	(void)unused;
	if (status_fd >= 0 && write(status_fd, &byte, 1) != 1)
		return;
}

static void middle(int fd)
{
	pid_t pid;

	(void)setsid();
	pid = fork();
	if (pid < 0) {
		say_error("", "fork: %s", strerrordesc_np(errno));
		_exit(STATUS_MONITOR);
	}
	if (pid > 0)
		_exit(0);
	status_fd = fd;
	(void)on_exit(verdict_at_exit, NULL);
}

bool detach_fork(int *ret_fd, int *ret_status)
{
	int ends[2];
	pid_t pid;

	*ret_status = STATUS_MONITOR;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		say_error("", "pipe: %s", strerrordesc_np(errno));
		return false;
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		say_error("", "fork: %s", strerrordesc_np(errno));
		return false;
	}
	if (pid == 0) {
		(void)close(ends[0]);
		middle(ends[1]);
		*ret_fd = ends[1];
		return true;
	}
	(void)close(ends[1]);
	*ret_status = verdict_wait(ends[0], pid);
	(void)close(ends[0]);
	return false;
}

void detach_done(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t status = STATUS_OK;

	(void)fflush(NULL);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (null > 2)
		(void)close(null);
	status_fd = -1;
	/* A caller that is gone does not need it. */
	if (write(fd, &status, 1) == 1)
		(void)close(fd);
}
