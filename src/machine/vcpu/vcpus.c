/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/vcpu/vcpus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"
#include "machine/jail/filter.h"

struct vcpu {
	vcpu_id id;
	struct kvm_vcpu kvm;
	pthread_t thread;
	char name[16]; /* the thread's */
	bool has_thread;
	pid_t tid;   /* set by the thread before it is not parked for the first time */
	bool parked; /* guarded by vcpus.lock */
	bool ran;      /* the same: the errand, and `result` is what came of it */
	err_t result;
	struct vcpus *all;
};

/* What the threads are wanted to do; guarded by vcpus.lock. */
enum wanted { WANT_PARKED, WANT_RUNNING, WANT_GONE };

struct vcpus {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum wanted wanted;
	bool halted; /* guarded by lock */
	vcpu_errand *errand; /* the same: what every parked thread is to do; NULL: nothing */
	struct exit_handler handler;
	uint64_t first_entry; /* ns; 0: not yet */
	atomic_ullong first_exit; /* the same */
	pid_t pid;
	uint32_t n;
	struct vcpu vcpu[];
};

static int kick_signal(void)
{
	return SIGRTMIN;
}

/* syscalls(vcpu): rt_sigreturn */
static void on_kick(int number)
{
	(void)number; /* only its delivery matters: it ends KVM_RUN */
}

static void install_kick_handler(void)
{
	struct sigaction old, ours = { .sa_handler = on_kick };

	if (sigaction(kick_signal(), NULL, &old) == 0 &&
	    (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN))
		(void)sigaction(kick_signal(), &ours, NULL);
}

/* Lock held. */
static void run_errand(struct vcpu *me)
{
	if (me->all->errand == NULL || me->ran)
		return;
	me->result = me->all->errand(&me->kvm, me->id);
	me->ran = true;
	pthread_cond_broadcast(&me->all->changed);
}

/* syscalls(vcpu, device, control): futex=FUTEX_WAKE futex=FUTEX_WAIT_BITSET */
/* syscalls(vcpu, device, control): futex=FUTEX_WAIT? (a lock that another thread happens to hold) */
/* Waits until running or going is wanted. True: run. */
static bool wait_parked(struct vcpu *me)
{
	struct vcpus *v = me->all;
	bool run;

	pthread_mutex_lock(&v->lock);
	me->parked = true;
	pthread_cond_broadcast(&v->changed);
	while (v->wanted == WANT_PARKED) {
		run_errand(me);
		pthread_cond_wait(&v->changed, &v->lock);
	}
	run = v->wanted == WANT_RUNNING;
	if (run)
		me->parked = false;
	pthread_mutex_unlock(&v->lock);
	return run;
}

/* Wanted parked, by anybody; the run areas' flags send the others out. Lock held. */
static void want(struct vcpus *v, enum wanted w)
{
	v->wanted = w;
	for (uint32_t i = 0; i < v->n; i++)
		vcpu_set_immediate_exit(&v->vcpu[i].kvm, w != WANT_RUNNING);
	pthread_cond_broadcast(&v->changed);
}

static bool still_running(struct vcpus *v)
{
	bool running;

	pthread_mutex_lock(&v->lock);
	running = v->wanted == WANT_RUNNING;
	pthread_mutex_unlock(&v->lock);
	return running;
}

/* syscalls(vcpu, control): tgkill=SELF */
static void kick_others(struct vcpus *v, const struct vcpu *except)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (&v->vcpu[i] != except && v->vcpu[i].has_thread && !v->vcpu[i].parked)
			(void)tgkill(v->pid, v->vcpu[i].tid, kick_signal());
	}
}

/* The machine has ended by what this vCPU did: nobody enters the guest again. */
static void end_all(struct vcpu *me)
{
	struct vcpus *v = me->all;

	pthread_mutex_lock(&v->lock);
	if (v->wanted == WANT_RUNNING)
		want(v, WANT_PARKED);
	kick_others(v, me);
	pthread_mutex_unlock(&v->lock);
}

/* syscalls(vcpu): clock_gettime? (where the vDSO has no clock: a TSC that cannot be trusted) */
static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_first_entry(struct vcpus *v)
{
	uint64_t now = now_ns();

	pthread_mutex_lock(&v->lock);
	v->first_entry = now;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

static void run_until_wanted_out(struct vcpu *me)
{
	bool first = me->id.v == 0 && atomic_load(&me->all->first_exit) == 0;
	struct vcpu_exit exit;

	if (me->id.v == 0 && me->all->first_entry == 0)
		note_first_entry(me->all);
	for (;;) {
		vcpu_enter(&me->kvm, &exit);
		if (first && exit.kind != EXIT_NONE) {
			atomic_store(&me->all->first_exit, now_ns());
			first = false;
		}
		if (exit.kind == EXIT_NONE) {
			if (!still_running(me->all))
				return;
			continue;
		}
		if (!me->all->handler.handle(me->all->handler.ctx, me->id, &exit)) {
			end_all(me);
			return;
		}
	}
}

static void *thread_main(void *arg)
{
	struct vcpu *me = arg;

	(void)pthread_setname_np(pthread_self(), me->name);
	me->tid = gettid();
	while (wait_parked(me))
		run_until_wanted_out(me);
	return NULL;
}

/* All signals but the kick are the embedding program's business. */
static int start_thread(struct vcpu *c)
{
	sigset_t all, old;
	int r;

	/* Not by the thread: that would be the deepest that its stack ever gets. */
	(void)snprintf(c->name, sizeof c->name, "vcpu%u", (unsigned)(c->id.v & 0xFF));
	sigfillset(&all);
	sigdelset(&all, kick_signal());
	sigdelset(&all, SIGBUS); /* synchronous faults must reach their handler */
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&c->thread, NULL, thread_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->has_thread = r == 0;
	return r;
}

err_t vcpus_new(int kvm, int vm, uint32_t n, struct exit_handler handler, struct diag *d,
		struct vcpus **ret_vcpus)
{
	struct vcpus *v = calloc(1, sizeof *v + n * sizeof v->vcpu[0]);
	err_t e = OK;

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	install_kick_handler();
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	v->handler = handler;
	v->pid = getpid();
	v->wanted = WANT_PARKED;
	for (uint32_t i = 0; i < n; i++) {
		struct vcpu *c = &v->vcpu[i];

		c->id = (vcpu_id){ i };
		c->all = v;
		e = kvm_vcpu_create(kvm, vm, c->id, d, &c->kvm);
		if (failed(e))
			break;
		v->n++;
		vcpu_set_immediate_exit(&c->kvm, true);
		c->parked = true;
	}
	for (uint32_t i = 0; i < v->n && !failed(e); i++) {
		int r = start_thread(&v->vcpu[i]);

		if (r != 0)
			e = diag_sys(d, FAIL_SYS(r), "starting the thread of vCPU %u", (unsigned)i);
	}
	if (failed(e)) {
		vcpus_free(v);
		return e;
	}
	*ret_vcpus = v;
	return OK;
}

void vcpus_free(struct vcpus *v)
{
	if (v == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	want(v, WANT_GONE);
	kick_others(v, NULL);
	pthread_mutex_unlock(&v->lock);
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->vcpu[i].has_thread)
			(void)pthread_join(v->vcpu[i].thread, NULL);
		kvm_vcpu_drop(&v->vcpu[i].kvm);
	}
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

uint32_t vcpus_count(const struct vcpus *v)
{
	return v->n;
}

const struct kvm_vcpu *vcpus_at(const struct vcpus *v, vcpu_id id)
{
	return &v->vcpu[id.v].kvm;
}

void vcpus_resume(struct vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	if (!v->halted)
		want(v, WANT_RUNNING);
	pthread_mutex_unlock(&v->lock);
}

void vcpus_halt(struct vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	v->halted = true;
	if (v->wanted == WANT_RUNNING)
		want(v, WANT_PARKED);
	kick_others(v, NULL);
	pthread_mutex_unlock(&v->lock);
}

uint64_t vcpus_first_entry(struct vcpus *v)
{
	uint64_t at;

	pthread_mutex_lock(&v->lock);
	while (v->first_entry == 0 && v->wanted == WANT_RUNNING)
		pthread_cond_wait(&v->changed, &v->lock);
	at = v->first_entry;
	pthread_mutex_unlock(&v->lock);
	return at;
}

uint64_t vcpus_first_exit(struct vcpus *v)
{
	return atomic_load(&v->first_exit);
}

static bool all_parked(const struct vcpus *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (!v->vcpu[i].parked)
			return false;
	}
	return true;
}

struct quiesced vcpus_park(struct vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	if (v->wanted == WANT_RUNNING)
		want(v, WANT_PARKED);
	kick_others(v, NULL);
	while (!all_parked(v))
		pthread_cond_wait(&v->changed, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return (struct quiesced){ v };
}

void vcpus_wait_parked(struct vcpus *v)
{
	pthread_mutex_lock(&v->lock);
	while (!all_parked(v))
		pthread_cond_wait(&v->changed, &v->lock);
	pthread_mutex_unlock(&v->lock);
}

static bool all_ran(const struct vcpus *v)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (!v->vcpu[i].ran)
			return false;
	}
	return true;
}

err_t vcpus_each(struct vcpus *v, struct quiesced q, vcpu_errand *errand)
{
	err_t e = OK;

	(void)q;
	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->n; i++)
		v->vcpu[i].ran = false;
	v->errand = errand;
	pthread_cond_broadcast(&v->changed);
	while (!all_ran(v))
		pthread_cond_wait(&v->changed, &v->lock);
	v->errand = NULL;
	for (uint32_t i = 0; i < v->n && !failed(e); i++)
		e = v->vcpu[i].result;
	pthread_mutex_unlock(&v->lock);
	return e;
}

static err_t take_filter(const struct kvm_vcpu *v, vcpu_id id)
{
	(void)v;
	(void)id;
	return jail_filter_take(JAIL_VCPU, NULL);
}

err_t vcpus_confine(struct vcpus *v, struct quiesced q, struct diag *d)
{
	err_t e = vcpus_each(v, q, take_filter);

	return failed(e) ? diag_sys(d, e, "seccomp: a vCPU's thread did not take its filter") : OK;
}

/* The boot processor begins at its reset vector, where a shell has no memory, and comes out at once
 * because that cannot be emulated. The others wait to be started, so they only look in. */
static err_t enter_once(const struct kvm_vcpu *v, vcpu_id id)
{
	struct vcpu_exit exit;

	vcpu_set_immediate_exit(v, id.v != 0);
	vcpu_enter(v, &exit);
	vcpu_set_immediate_exit(v, true);
	return OK;
}

void vcpus_warm(struct vcpus *v, struct quiesced q)
{
	ignore(vcpus_each(v, q, enter_once));
}
