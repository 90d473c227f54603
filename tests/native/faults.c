/* SPDX-License-Identifier: Apache-2.0 */
/* Failures from outside: a library that is loaded before the C library (LD_PRELOAD) and answers
 * one chosen system call of one thread with an error, or by killing the process. Nothing of it is
 * in spore.
 *
 * fault_arm chooses; the calls of the thread that armed are counted from 1 until fault_disarm. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "native/faults.h"

static _Thread_local bool armed;
static struct fault_report now;
static int wanted;
static enum fault_action wanted_action;

void fault_arm(int n, enum fault_action action)
{
	now = (struct fault_report){ 0, "" };
	wanted = n;
	wanted_action = action;
	armed = true;
}

struct fault_report fault_disarm(void)
{
	armed = false;
	return now;
}

/* A process can be killed anywhere, but only between calls that change a file does it matter. */
static bool changes_files(const char *name)
{
	static const char *const changing[] = {
		"write", "pwrite64", "pwritev64", "copy_file_range", "fsync", "fdatasync",
		"ftruncate64", "fallocate64", "linkat", "renameat", "renameat2", "unlinkat",
		"open64", "openat64",
	};

	for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++) {
		if (strcmp(name, changing[i]) == 0)
			return true;
	}
	return false;
}

/* Is this the one? */
static bool strike(const char *name)
{
	if (!armed || (wanted_action == FAULT_KILL && !changes_files(name)))
		return false;
	if (++now.calls != wanted)
		return false;
	now.struck = name;
	if (wanted_action == FAULT_KILL)
		(void)kill(getpid(), SIGKILL);
	return true;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* One line for each call: its result, name, parameters, arguments, and what it fails with. */
#define CALL(type, name, params, args, error) \
	type name params; \
	type name params \
	{ \
		static type (*real) params; \
		if (real == NULL) \
			*(void **)&real = next(#name); \
		if (strike(#name)) { \
			errno = (error); \
			return (type)-1; \
		} \
		return real args; \
	}

CALL(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n), EIO)
CALL(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), ENOSPC)
CALL(ssize_t, pread64, (int fd, void *b, size_t n, off_t at), (fd, b, n, at), EIO)
CALL(ssize_t, pwrite64, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at), ENOSPC)
CALL(ssize_t, preadv64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), EIO)
CALL(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), ENOSPC)
CALL(ssize_t, copy_file_range, (int a, off_t *x, int b, off_t *y, size_t n, unsigned f),
     (a, x, b, y, n, f), ENOSPC)
CALL(int, fsync, (int fd), (fd), EIO)
CALL(int, fdatasync, (int fd), (fd), EIO)
CALL(int, ftruncate64, (int fd, off_t n), (fd, n), EFBIG)
CALL(int, fallocate64, (int fd, int m, off_t at, off_t n), (fd, m, at, n), ENOSPC)
CALL(off_t, lseek64, (int fd, off_t at, int w), (fd, at, w), EIO)
CALL(int, fstat64, (int fd, struct stat64 *st), (fd, st), EIO)
CALL(int, fstatat64, (int fd, const char *p, struct stat64 *st, int f), (fd, p, st, f), EACCES)
CALL(int, linkat, (int a, const char *x, int b, const char *y, int f), (a, x, b, y, f), ENOSPC)
CALL(int, renameat, (int a, const char *x, int b, const char *y), (a, x, b, y), EDQUOT)
CALL(int, renameat2, (int a, const char *x, int b, const char *y, unsigned f), (a, x, b, y, f),
     EDQUOT)
CALL(int, memfd_create, (const char *n, unsigned f), (n, f), ENFILE)
CALL(int, eventfd, (unsigned n, int f), (n, f), EMFILE)
CALL(int, epoll_create1, (int f), (f), EMFILE)
CALL(int, epoll_ctl, (int e, int op, int fd, struct epoll_event *v), (e, op, fd, v), ENOSPC)
CALL(int, inotify_init1, (int f), (f), EMFILE)
CALL(int, inotify_add_watch, (int fd, const char *p, uint32_t m), (fd, p, m), ENOSPC)
CALL(ssize_t, getrandom, (void *b, size_t n, unsigned f), (b, n, f), EAGAIN)
CALL(void *, mmap64, (void *a, size_t n, int p, int f, int fd, off_t at), (a, n, p, f, fd, at),
     ENOMEM)

/* Cleaning up is not made to fail: nothing could be done about it. */
int unlinkat(int dir, const char *path, int flags)
{
	static int (*real)(int, const char *, int);

	if (real == NULL)
		*(void **)&real = next("unlinkat");
	if (wanted_action == FAULT_KILL)
		(void)strike("unlinkat");
	return real(dir, path, flags);
}

/* These take a last argument or not; passing one that is not there does no harm on x86-64. */
#define CALL_MORE(type, name, params, last, args, error) \
	type name params; \
	type name params \
	{ \
		static type (*real) params; \
		unsigned long more; \
		va_list list; \
		va_start(list, last); \
		more = va_arg(list, unsigned long); \
		va_end(list); \
		if (real == NULL) \
			*(void **)&real = next(#name); \
		if (strike(#name)) { \
			errno = (error); \
			return (type)-1; \
		} \
		return real args; \
	}

CALL_MORE(int, ioctl, (int fd, unsigned long call, ...), call, (fd, call, more), ENOMEM)
CALL_MORE(int, fcntl64, (int fd, int call, ...), call, (fd, call, more), EMFILE)
CALL_MORE(int, open64, (const char *p, int flags, ...), flags, (p, flags, more), EMFILE)
CALL_MORE(int, openat64, (int d, const char *p, int flags, ...), flags, (d, p, flags, more), EMFILE)

/* Answers with the error itself. */
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		*(void **)&real = next("pthread_create");
	return strike("pthread_create") ? EAGAIN : real(t, a, f, x);
}

/* The C library's own names for these, since to look for the next ones it would allocate. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return strike("malloc") ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return strike("calloc") ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return strike("realloc") ? NULL : __libc_realloc(p, n);
}
