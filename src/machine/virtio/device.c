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

/* An empty device has no features, no configuration, and no queue is ever ready. */
static struct virtio_dev *device_alloc(const struct topo_slot *slot, const struct virtio_wires *w)
{
	struct virtio_dev *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->kind = virtio_kind_of(slot->kind);
	v->slot = *slot;
	v->wires = *w;
	v->control = FD_NONE;
	/* Not by the thread: that would be the deepest that its stack ever gets. */
	(void)snprintf(v->name, sizeof v->name, "%s-%u", dev_kind_word(slot->kind), slot->slot.v);
	(void)pthread_mutex_init(&v->lock, NULL);
	(void)pthread_cond_init(&v->turn, NULL);
	virtio_registers_clear(v);
	v->parked = true;
	atomic_init(&v->holds, 1);
	return v;
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

static int thread_start(struct virtio_dev *v)
{
	sigset_t theirs, ours;
	pthread_attr_t attr;
	int failure;

	signals_of_worker(&theirs);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, WORKER_STACK);
	(void)pthread_sigmask(SIG_SETMASK, &theirs, &ours);
	failure = pthread_create(&v->thread, &attr, virtio_worker, v);
	(void)pthread_sigmask(SIG_SETMASK, &ours, NULL);
	(void)pthread_attr_destroy(&attr);
	return failure;
}

err_t virtio_start(struct virtio_dev *v, struct diag *d)
{
	int failure;

	if (v->has_worker)
		return OK;
	if (!fd_is_open(v->control))
		v->control = (fd_t){ eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	failure = fd_is_open(v->control) ? thread_start(v) : errno;
	if (failure != 0)
		return diag_sys(d, FAIL_SYS(failure), "device in slot %u: no thread",
				v->slot.slot.v);
	v->has_worker = true;
	return OK;
}

err_t virtio_new(const struct topo_slot *slot, const struct virtio_wires *w,
		 struct virtio_dev **ret_dev)
{
	struct virtio_dev *v = device_alloc(slot, w);

	if (v == NULL)
		return FAIL(ERR_NOMEM);
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

static void worker_end(struct virtio_dev *v)
{
	uint64_t one = 1;
	ssize_t n;

	if (!v->has_worker)
		return;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	atomic_fetch_add(&v->holds, 1);
	pthread_cond_broadcast(&v->turn);
	pthread_mutex_unlock(&v->lock);
	n = write(v->control.raw, &one, sizeof one);
	(void)n;
	(void)pthread_join(v->thread, NULL);
}

void virtio_free(struct virtio_dev *v)
{
	if (v == NULL)
		return;
	worker_end(v);
	if (v->kind->free != NULL)
		v->kind->free(v->own);
	fd_drop(&v->control);
	(void)pthread_cond_destroy(&v->turn);
	(void)pthread_mutex_destroy(&v->lock);
	free(v);
}

struct virtio_parked virtio_quiesce(struct virtio_dev *v, uint32_t *ret_in_flight)
{
	pthread_mutex_lock(&v->lock);
	if (ret_in_flight != NULL)
		*ret_in_flight = atomic_load(&v->in_flight);
	if (!v->parked) {
		v->parked = true;
		atomic_fetch_add(&v->holds, 1);
	}
	while (v->busy)
		pthread_cond_wait(&v->turn, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return (struct virtio_parked){ v };
}

void virtio_unquiesce(struct virtio_parked p)
{
	struct virtio_dev *v = p.dev;
	bool works;

	pthread_mutex_lock(&v->lock);
	works = virtio_works(v);
	if (v->parked) {
		v->parked = false;
		atomic_fetch_sub(&v->holds, 1);
		pthread_cond_broadcast(&v->turn);
	}
	if (v->regs.interrupt_status != 0)
		irq_raise(v->wires.irq);
	pthread_mutex_unlock(&v->lock);
	for (uint32_t i = 0; works && i < v->slot.queues; i++)
		virtio_doorbell(v, i);
}

err_t virtio_confine(struct virtio_parked p, struct diag *d)
{
	struct virtio_dev *v = p.dev;
	uint64_t one = 1;
	ssize_t n;
	err_t e;

	assert(v->has_worker);
	pthread_mutex_lock(&v->lock);
	v->confine = true;
	pthread_cond_broadcast(&v->turn);
	n = write(v->control.raw, &one, sizeof one);
	(void)n;
	while (!v->confined)
		pthread_cond_wait(&v->turn, &v->lock);
	e = v->refused;
	pthread_mutex_unlock(&v->lock);
	return failed(e) ? diag_sys(d, e, "seccomp: the thread of the device in slot %u did not take "
				    "its filter", v->slot.slot.v) : OK;
}

const char *virtio_fault(struct virtio_dev *v)
{
	const char *fault;

	pthread_mutex_lock(&v->lock);
	fault = v->fault;
	pthread_mutex_unlock(&v->lock);
	return fault;
}
