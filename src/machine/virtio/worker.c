/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that does a device's I/O, or that of two: waits for doorbells, works through the queues in
 * turn, and looks between any two requests whether somebody wants it to stay out of them.
 *
 * A request is finished before the next is taken, so at most one is ever in flight. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "machine/jail/filter.h"
#include "machine/virtio/device_parts.h"
#include "machine/virtio/registers.h"

void virtio_doorbell(const struct virtio_dev *v, uint32_t queue)
{
	uint64_t one = 1;
	/* Fails only when the counter is full: then it rings already. */
	ssize_t n = write(v->wires.notify[queue], &one, sizeof one);

	(void)n;
}

/* syscalls(device): poll restart_syscall */
static void doorbells_wait(const struct virtio_worker *w)
{
	struct pollfd fds[WORKER_DEVICES * SHAPE_QUEUES_MAX + 1];
	nfds_t n = 0;

	for (uint32_t k = 0; k < w->n; k++)
		for (uint32_t i = 0; i < w->dev[k]->slot.queues; i++)
			fds[n++] = (struct pollfd){ .fd = w->dev[k]->wires.notify[i],
						    .events = POLLIN };
	fds[n++] = (struct pollfd){ .fd = w->control.raw, .events = POLLIN };
	while (poll(fds, n, -1) < 0 && errno == EINTR)
		;
}

/* syscalls(device): read */
/* Before the queues are looked at: what rings after this is heard by the next wait. */
static void doorbells_quiet(const struct virtio_dev *v)
{
	uint64_t rings;

	for (uint32_t i = 0; i < v->slot.queues; i++) {
		ssize_t n = read(v->wires.notify[i], &rings, sizeof rings);

		(void)n; /* nothing there: another queue's rang */
	}
}

static bool held(struct virtio_worker *w)
{
	return atomic_load_explicit(&w->holds, memory_order_relaxed) != 0;
}

static void queue_broke(struct virtio_dev *v, const char *why)
{
	pthread_mutex_lock(&v->worker->lock);
	virtio_needs_reset(v, why);
	pthread_mutex_unlock(&v->worker->lock);
}

static bool request_answer(struct virtio_dev *v, struct virtq *q, uint16_t head, uint32_t written)
{
	bool wanted;

	if (!virtq_push(q, head, written) || !virtq_interrupt(q, &wanted))
		return false;
	if (wanted) {
		pthread_mutex_lock(&v->worker->lock);
		virtio_interrupt(v, INTERRUPT_USED);
		pthread_mutex_unlock(&v->worker->lock);
	}
	return true;
}

static bool request_serve(struct virtio_dev *v, struct virtq *q, const struct chain *c)
{
	uint32_t written = 0;
	bool ok;

	atomic_store(&v->in_flight, 1);
	ok = v->kind->serve(v->own, v->wires.mem, c, &written, &q->fault) &&
	     request_answer(v, q, c->head, written);
	atomic_store(&v->in_flight, 0);
	return ok;
}

enum turn { TURN_IDLE, TURN_MORE, TURN_BROKEN };

/* At most as many requests as the queue holds: then the other queues have their turn. */
static enum turn queue_serve(struct virtio_dev *v, struct virtq *q)
{
	struct chain c;
	bool more;

	if (q->rings.size == 0) /* never made ready */
		return TURN_IDLE;
	for (uint32_t n = 0; n < q->rings.size; n++) {
		if (held(v->worker))
			return TURN_IDLE;
		switch (virtq_pop(q, &c)) {
		case VIRTQ_BROKEN:
			return TURN_BROKEN;
		case VIRTQ_EMPTY:
			if (!virtq_rearm(q, &more))
				return TURN_BROKEN;
			if (!more)
				return TURN_IDLE;
			break;
		case VIRTQ_CHAIN:
			if (!request_serve(v, q, &c))
				return TURN_BROKEN;
			break;
		}
	}
	return TURN_MORE;
}

/* One turn of each queue of a device. */
static enum turn device_serve(struct virtio_dev *v)
{
	enum turn all = TURN_IDLE;

	for (uint32_t i = 0; i < v->slot.queues; i++) {
		enum turn t = queue_serve(v, &v->live[i]);

		if (t == TURN_BROKEN) {
			queue_broke(v, v->live[i].fault);
			return t;
		}
		if (t == TURN_MORE)
			all = t;
	}
	return all;
}

/* One turn of each; true: there is more to do. */
static bool devices_serve(struct virtio_worker *w, const bool works[static WORKER_DEVICES])
{
	bool more = false;

	for (uint32_t k = 0; k < w->n; k++)
		if (works[k] && device_serve(w->dev[k]) == TURN_MORE)
			more = true;
	return more;
}

/* With the lock held, which it gives up while it works; true: there is more to do. For no longer than a
 * turn: a device that its driver starts meanwhile is seen with the next. */
static bool work(struct virtio_worker *w)
{
	bool works[WORKER_DEVICES], any = false, more;

	for (uint32_t k = 0; k < w->n; k++) {
		doorbells_quiet(w->dev[k]);
		works[k] = virtio_works(w->dev[k]);
		any = any || works[k];
	}
	if (!any)
		return false;
	w->busy = true;
	pthread_mutex_unlock(&w->lock);
	more = devices_serve(w, works);
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->turn);
	return more;
}

/* With the lock held. */
static void confine_if_asked(struct virtio_worker *w)
{
	uint64_t rings;
	ssize_t n;

	if (!w->confine || w->confined)
		return;
	n = read(w->control.raw, &rings, sizeof rings);
	(void)n; /* nothing there: it was woken by somebody else */
	w->refused = jail_filter_take(JAIL_DEVICE, NULL);
	w->confined = true;
	pthread_cond_broadcast(&w->turn);
}

/* False: its devices are being freed. With the lock held. What a hold cut short, which may have been
 * for the other device, is gone on with after it. */
static bool turn_take(struct virtio_worker *w)
{
	bool more;

	do {
		while (held(w) && !w->stop) {
			confine_if_asked(w);
			pthread_cond_wait(&w->turn, &w->lock);
		}
		more = !w->stop && work(w);
	} while ((more || held(w)) && !w->stop);
	return !w->stop;
}

void *virtio_worker_main(void *worker)
{
	struct virtio_worker *w = worker;
	bool on = true;

	/* Here: naming another thread goes through a file in /proc. */
	(void)pthread_setname_np(pthread_self(), w->name);
	while (on) {
		doorbells_wait(w);
		pthread_mutex_lock(&w->lock);
		on = turn_take(w);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}
