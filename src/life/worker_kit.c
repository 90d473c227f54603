/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/heap.h"
#include "base/refs.h"
#include "life/worker_layout.h"
#include "life/zygote_parts.h"
#include "machine/disk/layer_files.h"
#include "machine/kvm/kvm.h"

enum { SPARE_MOST = 1024 };

struct worker_kit {
	struct refs references;
	fd_t program;
	fd_t kvm, netns, cgroup;
	fd_t faults;           /* /dev/userfaultfd; FD_NONE: it is not to be had */
	fd_t layout;           /* for nurseries */
	uint32_t patience_ms;
	uint32_t disks;
	bytes_t capacity[SHAPE_DEVICES_MAX]; /* of each disk */
	struct jail_options jail;
	struct layer_files *layers;
	pthread_mutex_t births;  /* one at a time */
	uint32_t next_uid;
	struct nursery *nursery; /* owned; NULL: the last one is gone */
};

static void note_disks(struct worker_kit *k, const struct image *like)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(image_geometry(like))); i++) {
		struct blk_view view;

		if (device_as_blk(image_device(like, (slot_id){ i }), &view))
			k->capacity[k->disks++] = view.dev->blk.capacity;
	}
}

/* As far as a worker may write into a file: its memory's new layer, and its disks' private ones. */
static uint64_t longest_file(const struct worker_kit *k, bytes_t ram)
{
	uint64_t longest = ram.v;

	for (uint32_t i = 0; i < k->disks; i++)
		if (k->capacity[i].v > longest)
			longest = k->capacity[i].v;
	return longest;
}

static err_t kit_fill(struct worker_kit *k, const struct image *like,
		      const struct worker_kit_options *o, struct diag *d)
{
	struct diag why = DIAG_INIT;
	struct jail_host host;
	err_t e;

	if (getrandom(&k->next_uid, sizeof k->next_uid, 0) != sizeof k->next_uid)
		return diag_sys(d, FAIL_SYS(errno), "workers' users: a random number");
	jail_host_ask(&host);
	TRY(jail_host_require(&host, o->without, d));
	k->program = (fd_t){ open(o->program, O_PATH | O_CLOEXEC) };
	if (!fd_is_open(k->program) || access(o->program, X_OK) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: the worker program cannot be run",
				o->program);
	TRY(kvm_open(d, &k->kvm));
	TRY(worker_layout_write(like, k->kvm.raw, d, &k->layout));
	note_disks(k, like);
	k->patience_ms = o->patience_ms;
	if ((o->without & JAIL_WITHOUT(JAIL_NETNS)) == 0)
		TRY(jail_netns_new(d, &k->netns));
	if (o->cgroup >= 0)
		k->cgroup = (fd_t){ fcntl(o->cgroup, F_DUPFD_CLOEXEC, 0) };
	k->jail = (struct jail_options){
		.without = o->without, .netns = k->netns.raw, .cgroup = k->cgroup.raw,
		.limits = { .file_bytes = longest_file(k, geometry_ram(image_geometry(like))) },
	};
	e = nursery_start(k->program.raw, k->layout.raw, &k->jail, &why, &k->nursery);
	if (e.code == ERR_REMOTE)
		return diag_fail(d, e, "%s: is not the worker program, or cannot be run here", o->program);
	return failed(e) ? diag_fail(d, e, "%s", why.text) : OK;
}

err_t worker_kit_new(const struct image *like, const struct worker_kit_options *o, struct diag *d,
		     struct worker_kit **ret_kit)
{
	struct worker_kit *k = calloc(1, sizeof *k);
	err_t e;

	if (k == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&k->references);
	(void)pthread_mutex_init(&k->births, NULL);
	k->program = k->kvm = k->netns = k->cgroup = k->layout = FD_NONE;
	k->faults = (fd_t){ open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) };
	e = layer_files_new(SPARE_MOST, &k->layers);
	if (!failed(e))
		e = kit_fill(k, like, o, d);
	if (failed(e)) {
		worker_kit_free(k);
		return e;
	}
	*ret_kit = k;
	return OK;
}

struct worker_kit *worker_kit_again(struct worker_kit *k)
{
	refs_take(&k->references);
	return k;
}

void worker_kit_free(struct worker_kit *k)
{
	if (k == NULL || !refs_drop(&k->references))
		return;
	layer_files_free(k->layers);
	nursery_free(k->nursery);
	(void)pthread_mutex_destroy(&k->births);
	fd_drop(&k->kvm);
	fd_drop(&k->netns);
	fd_drop(&k->cgroup);
	fd_drop(&k->layout);
	fd_drop(&k->faults);
	fd_drop(&k->program);
	free(k);
}

uint32_t worker_kit_patience_ms(const struct worker_kit *k)
{
	return k->patience_ms;
}

int worker_kit_kvm(const struct worker_kit *k)
{
	return k->kvm.raw;
}

int worker_kit_faults(const struct worker_kit *k)
{
	return k->faults.raw;
}

/* ---- layers ---- */

err_t worker_kit_layers_new(struct worker_kit *k, struct diag *d, struct zygote_layers *ret)
{
	for (uint32_t i = 0; i < k->disks; i++) {
		TRY(layer_files_take(k->layers, k->capacity[i], d, &ret->fd[i]));
		ret->raw[i] = ret->fd[i].raw;
		ret->n = i + 1;
	}
	return OK;
}

void worker_kit_layers_back(struct worker_kit *k, struct zygote_layers *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		layer_files_back(k->layers, &l->fd[i], k->capacity[i]);
	l->n = 0;
}

/* ---- a process ---- */

/* Each its own user, so that neither a signal nor a limit reaches from one to another: the next after a
 * random one, as there are other kits, and workers that their kit does not outlive. */
static uint32_t uid_of(struct worker_kit *k)
{
	return JAIL_UIDS + k->next_uid++ % JAIL_UIDS_MAX;
}

/* One that was killed is replaced, once. */
static err_t bear(struct worker_kit *k, int socket, struct diag *d, struct born *ret)
{
	err_t e;

	if (k->nursery != NULL) {
		struct diag why = DIAG_INIT;

		e = nursery_bear(k->nursery, uid_of(k), socket, &why, ret);
		if (e.code != ERR_REMOTE)
			return failed(e) ? diag_fail(d, e, "%s", why.text) : OK;
		nursery_free(k->nursery);
		k->nursery = NULL;
	}
	TRY(nursery_start(k->program.raw, k->layout.raw, &k->jail, d, &k->nursery));
	return nursery_bear(k->nursery, uid_of(k), socket, d, ret);
}

err_t worker_kit_bear(struct worker_kit *k, struct diag *d, struct born *ret_born,
		      fd_t *ret_socket)
{
	int ends[2];
	err_t e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a worker's socket");
	*ret_socket = (fd_t){ ends[0] };
	(void)pthread_mutex_lock(&k->births);
	e = bear(k, ends[1], d, ret_born);
	(void)pthread_mutex_unlock(&k->births);
	(void)close(ends[1]);
	return e;
}
