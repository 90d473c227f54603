/* SPDX-License-Identifier: Apache-2.0 */
/* Devices made, parked, let go and freed. */
#include "machine/virtio/device.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/heap.h"
#include "machine/virtio/device_parts.h"
#include "machine/virtio/registers.h"

enum { WORKER_STACK = 512 * 1024 };

const struct topo_slot *virtio_slot(const struct virtio_dev *v)
{
	return &v->slot;
}

/* ---- workers ---- */

static struct virtio_worker *worker_alloc(const struct topo_slot *slot)
{
	struct virtio_worker *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->control = FD_NONE;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->turn, NULL);
	/* Not by the thread: that would be the deepest that its stack ever gets. */
	(void)snprintf(w->name, sizeof w->name, "%s-%u", dev_kind_word(slot->kind), slot->slot.v);
	return w;
}

/* Before its thread is there, which reads the list without the lock. All devices are new parked. */
static void worker_join(struct virtio_worker *w, struct virtio_dev *v)
{
	assert(!w->has_thread && w->n < WORKER_DEVICES);
	v->worker = w;
	w->dev[w->n++] = v;
	w->left++;
	atomic_fetch_add(&w->holds, 1);
}

/* Without the signals that are meant for the program's own threads; those that a fault raises must
 * stay open, or the fault ends the process (sigprocmask(2)). */
static void signals_of_worker(sigset_t *ret)
{
	(void)sigfillset(ret);
	(void)sigdelset(ret, SIGBUS);
	(void)sigdelset(ret, SIGSEGV);
	(void)sigdelset(ret, SIGFPE);
	(void)sigdelset(ret, SIGILL);
	(void)sigdelset(ret, SIGTRAP);
}

static int thread_start(struct virtio_worker *w)
{
	sigset_t theirs, ours;
	pthread_attr_t attr;
	int failure;

	signals_of_worker(&theirs);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, WORKER_STACK);
	(void)pthread_sigmask(SIG_SETMASK, &theirs, &ours);
	failure = pthread_create(&w->thread, &attr, virtio_worker_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &ours, NULL);
	(void)pthread_attr_destroy(&attr);
	return failure;
}

err_t virtio_start(struct virtio_dev *v, struct diag *d)
{
	struct virtio_worker *w = v->worker;
	int failure;

	if (w->has_thread)
		return OK;
	if (!fd_is_open(w->control))
		w->control = (fd_t){ eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	failure = fd_is_open(w->control) ? thread_start(w) : errno;
	if (failure != 0)
		return diag_sys(d, FAIL_SYS(failure), "device in slot %u: no thread",
				v->slot.slot.v);
	w->has_thread = true;
	return OK;
}

static void thread_end(struct virtio_worker *w)
{
	uint64_t one = 1;
	ssize_t n;

	if (!w->has_thread)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	atomic_fetch_add(&w->holds, 1);
	pthread_cond_broadcast(&w->turn);
	pthread_mutex_unlock(&w->lock);
	n = write(w->control.raw, &one, sizeof one);
	(void)n;
	(void)pthread_join(w->thread, NULL);
	w->has_thread = false;
}

/* Its other device is not used any more either: it is freed next. */
static void worker_leave(struct virtio_worker *w)
{
	thread_end(w);
	if (--w->left > 0)
		return;
	fd_drop(&w->control);
	(void)pthread_cond_destroy(&w->turn);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- devices ---- */

/* An empty device has no features, no configuration, and no queue is ever ready. */
err_t virtio_new(const struct topo_slot *slot, const struct virtio_wires *w,
		 const struct virtio_dev *beside, struct virtio_dev **ret_dev)
{
	struct virtio_dev *v = calloc(1, sizeof *v);
	struct virtio_worker *worker;

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	v->kind = virtio_kind_of(slot->kind);
	v->slot = *slot;
	v->wires = *w;
	worker = beside != NULL && v->kind->brisk && beside->worker->n < WORKER_DEVICES ?
		 beside->worker : worker_alloc(slot);
	if (worker == NULL) {
		free(v);
		return FAIL(ERR_NOMEM);
	}
	worker_join(worker, v);
	virtio_registers_clear(v);
	v->parked = true;
	*ret_dev = v;
	return OK;
}

err_t virtio_become(struct virtio_dev *empty, const struct virtio_face *face, void *own,
		    const struct device_state *saved, struct diag *d)
{
	err_t e = OK;

	assert(empty->own == NULL && empty->parked);
	empty->face = *face;
	empty->face.features |= F_VERSION_1 | F_EVENT_IDX | F_INDIRECT_DESC;
	if (saved != NULL)
		e = virtio_load(empty, saved, d);
	if (!failed(e) && virtio_works(empty))
		e = virtio_start(empty, d);
	if (failed(e)) {
		virtio_registers_clear(empty);
		empty->face = (struct virtio_face){ 0 };
		return e;
	}
	empty->own = own;
	return OK;
}

void virtio_free(struct virtio_dev *v)
{
	if (v == NULL)
		return;
	worker_leave(v->worker);
	if (v->kind->free != NULL)
		v->kind->free(v->own);
	free(v);
}

struct virtio_parked virtio_quiesce(struct virtio_dev *v, uint32_t *ret_in_flight)
{
	pthread_mutex_lock(&v->worker->lock);
	if (ret_in_flight != NULL)
		*ret_in_flight = atomic_load(&v->in_flight);
	if (!v->parked) {
		v->parked = true;
		atomic_fetch_add(&v->worker->holds, 1);
	}
	while (v->worker->busy)
		pthread_cond_wait(&v->worker->turn, &v->worker->lock);
	pthread_mutex_unlock(&v->worker->lock);
	return (struct virtio_parked){ v };
}

void virtio_unquiesce(struct virtio_parked p)
{
	struct virtio_dev *v = p.dev;
	bool works;

	pthread_mutex_lock(&v->worker->lock);
	works = virtio_works(v);
	if (v->parked) {
		v->parked = false;
		atomic_fetch_sub(&v->worker->holds, 1);
		pthread_cond_broadcast(&v->worker->turn);
	}
	if (v->regs.interrupt_status != 0)
		irq_raise(v->wires.irq);
	pthread_mutex_unlock(&v->worker->lock);
	for (uint32_t i = 0; works && i < v->slot.queues; i++)
		virtio_doorbell(v, i);
}

err_t virtio_confine(struct virtio_parked p, struct diag *d)
{
	struct virtio_worker *w = p.dev->worker;
	uint64_t one = 1;
	ssize_t n;
	err_t e;

	assert(w->has_thread);
	pthread_mutex_lock(&w->lock);
	if (!w->confine) {
		w->confine = true;
		pthread_cond_broadcast(&w->turn);
		n = write(w->control.raw, &one, sizeof one);
		(void)n;
	}
	while (!w->confined)
		pthread_cond_wait(&w->turn, &w->lock);
	e = w->refused;
	pthread_mutex_unlock(&w->lock);
	return failed(e) ? diag_sys(d, e, "seccomp: the thread of the device in slot %u did not take "
				    "its filter", p.dev->slot.slot.v) : OK;
}

const char *virtio_fault(struct virtio_dev *v)
{
	const char *fault;

	pthread_mutex_lock(&v->worker->lock);
	fault = v->fault;
	pthread_mutex_unlock(&v->worker->lock);
	return fault;
}
