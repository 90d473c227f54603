/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that does a device's I/O: waits for doorbells, works through the queues in turn, and
 * looks between any two requests whether somebody wants it to stay out of them.
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
static void doorbells_wait(const struct virtio_dev *v)
{
	struct pollfd fds[SHAPE_QUEUES_MAX + 1];
	nfds_t n = 0;

	for (uint32_t i = 0; i < v->slot.queues; i++)
		fds[n++] = (struct pollfd){ .fd = v->wires.notify[i], .events = POLLIN };
	fds[n++] = (struct pollfd){ .fd = v->control.raw, .events = POLLIN };
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

static bool held(struct virtio_dev *v)
{
	return atomic_load_explicit(&v->holds, memory_order_relaxed) != 0;
}

static void queue_broke(struct virtio_dev *v, const char *why)
{
	pthread_mutex_lock(&v->lock);
	virtio_needs_reset(v, why);
	pthread_mutex_unlock(&v->lock);
}

static bool request_answer(struct virtio_dev *v, struct virtq *q, uint16_t head, uint32_t written)
{
	bool wanted;

	if (!virtq_push(q, head, written) || !virtq_interrupt(q, &wanted))
		return false;
	if (wanted) {
		pthread_mutex_lock(&v->lock);
		virtio_interrupt(v, INTERRUPT_USED);
		pthread_mutex_unlock(&v->lock);
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
		if (held(v))
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

static void queues_serve(struct virtio_dev *v)
{
	bool again = true;

	while (again) {
		again = false;
		for (uint32_t i = 0; i < v->slot.queues; i++) {
			struct virtq *q = &v->live[i];

			switch (queue_serve(v, q)) {
			case TURN_IDLE:
				break;
			case TURN_MORE:
				again = true;
				break;
			case TURN_BROKEN:
				queue_broke(v, q->fault);
				return;
			}
		}
	}
}

/* With the lock held. */
static void confine_if_asked(struct virtio_dev *v)
{
	uint64_t rings;
	ssize_t n;

	if (!v->confine || v->confined)
		return;
	n = read(v->control.raw, &rings, sizeof rings);
	(void)n; /* nothing there: it was woken by somebody else */
	v->refused = jail_filter_take(JAIL_DEVICE, NULL);
	v->confined = true;
	pthread_cond_broadcast(&v->turn);
}

/* False: the device is being freed. With the lock held, which it gives up while it works. */
static bool turn_take(struct virtio_dev *v)
{
	while (held(v) && !v->stop) {
		confine_if_asked(v);
		pthread_cond_wait(&v->turn, &v->lock);
	}
	if (v->stop)
		return false;
	doorbells_quiet(v);
	if (!virtio_works(v))
		return true;
	v->busy = true;
	pthread_mutex_unlock(&v->lock);
	queues_serve(v);
	pthread_mutex_lock(&v->lock);
	v->busy = false;
	pthread_cond_broadcast(&v->turn);
	return true;
}

void *virtio_worker(void *dev)
{
	struct virtio_dev *v = dev;
	bool on = true;

	/* Here: naming another thread goes through a file in /proc. */
	(void)pthread_setname_np(pthread_self(), v->name);
	while (on) {
		doorbells_wait(v);
		pthread_mutex_lock(&v->lock);
		on = turn_take(v);
		pthread_mutex_unlock(&v->lock);
	}
	return NULL;
}
