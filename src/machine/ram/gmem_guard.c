/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/gmem_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* The guard that this thread is in. Read by the handler, so it must be there without a lazy
 * allocation: hence the model. */
static _Thread_local struct guard *volatile here __attribute__((tls_model("initial-exec")));

static struct sigaction previous;
static atomic_bool installed;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if ((previous.sa_flags & SA_SIGINFO) != 0) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(sig);
	} else {
		/* Nobody else wants it: the default action, when the access is tried again. A
		 * signal that was sent is not repeated by itself. */
		(void)signal(sig, SIG_DFL);
		if (info->si_code <= 0)
			(void)raise(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct guard *g = here;

	if (g != NULL && info->si_code > 0 && (uintptr_t)info->si_addr - g->lo < g->len) {
		here = NULL;
		siglongjmp(g->back, 1);
	}
	pass_on(sig, info, context);
}

static void install(void)
{
	struct sigaction now, ours = { .sa_sigaction = on_sigbus,
				       .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	(void)sigemptyset(&ours.sa_mask);
	/* Fails only for a bad number or pointer. */
	(void)sigaction(SIGBUS, NULL, &now);
	if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus)
		return;
	previous = now;
	(void)sigaction(SIGBUS, &ours, NULL);
}

void guard_install(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	install();
	atomic_store(&installed, true);
	pthread_mutex_unlock(&lock);
}

void guard_arm(struct guard *g, const void *lo, size_t len)
{
	if (!atomic_load(&installed))
		guard_install();
	g->lo = (uintptr_t)lo;
	g->len = len;
	here = g;
}

void guard_leave(void)
{
	here = NULL;
}
