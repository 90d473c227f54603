/* SPDX-License-Identifier: Apache-2.0 */
#include "life/worker_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/blank.h"
#include "life/zygote_parts.h"
#include "machine/kvm/kvm.h"

struct worker_kit {
	fd_t program;          /* a worker is nobody, who may not pass the folders above it */
	fd_t kvm, netns, cgroup;
	fd_t faults;           /* /dev/userfaultfd; FD_NONE: it is not to be had */
	/* What KVM answered, by its length; the length that the blank file would have, then its front. */
	fd_t layout;
	uint32_t disks;
	bytes_t capacity[SHAPE_DEVICES_MAX]; /* of each disk */
	struct jail_options jail;
	atomic_uint next_uid;
};

static err_t write_all(int memfd, const void *bytes, size_t n, struct diag *d)
{
	if (write(memfd, bytes, n) != (ssize_t)n)
		return diag_sys(d, FAIL_SYS(errno), "writing a layout for workers");
	return OK;
}

static err_t write_number(int memfd, uint64_t number, struct diag *d)
{
	uint8_t bytes[8];
	struct out o = out_of(bytes, sizeof bytes);

	out_u64(&o, number);
	return write_all(memfd, bytes, sizeof bytes, d);
}

static err_t write_answers(int memfd, int kvm, struct diag *d)
{
	owned_heap void *answers = calloc(1, arch_answers_len());

	if (answers == NULL)
		return FAIL(ERR_NOMEM);
	TRY(arch_answers_get(kvm, d, answers));
	TRY(write_number(memfd, arch_answers_len(), d));
	return write_all(memfd, answers, arch_answers_len(), d);
}

static err_t write_front(int memfd, const struct capture_front *f, struct diag *d)
{
	TRY(write_number(memfd, f->total.v, d));
	return write_all(memfd, f->bytes, f->len, d);
}

static err_t make_layout(const struct image *like, int kvm, struct diag *d, fd_t *ret)
{
	struct capture_front front = { 0 };
	err_t e;

	*ret = (fd_t){ memfd_create("spore-layout", MFD_CLOEXEC) };
	if (!fd_is_open(*ret))
		return diag_sys(d, FAIL_SYS(errno), "making a layout for workers");
	TRY(write_answers(ret->raw, kvm, d));
	TRY(blank_of(like, d, &front));
	e = write_front(ret->raw, &front, d);
	free(front.bytes);
	return e;
}

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
	struct jail_host host;

	jail_host_ask(&host);
	TRY(jail_host_require(&host, o->without, d));
	k->program = (fd_t){ open(o->program, O_PATH | O_CLOEXEC) };
	if (!fd_is_open(k->program) || access(o->program, X_OK) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: the worker program cannot be run",
				o->program);
	TRY(kvm_open(d, &k->kvm));
	TRY(make_layout(like, k->kvm.raw, d, &k->layout));
	note_disks(k, like);
	if ((o->without & JAIL_WITHOUT(JAIL_NETNS)) == 0)
		TRY(jail_netns_new(d, &k->netns));
	if (o->cgroup >= 0)
		k->cgroup = (fd_t){ fcntl(o->cgroup, F_DUPFD_CLOEXEC, 0) };
	k->jail = (struct jail_options){
		.without = o->without, .netns = k->netns.raw, .cgroup = k->cgroup.raw,
		.limits = { .file_bytes = longest_file(k, geometry_ram(image_geometry(like))) },
	};
	return OK;
}

err_t worker_kit_new(const struct image *like, const struct worker_kit_options *o, struct diag *d,
		     struct worker_kit **ret_kit)
{
	struct worker_kit *k = calloc(1, sizeof *k);
	err_t e;

	if (k == NULL)
		return FAIL(ERR_NOMEM);
	k->program = k->kvm = k->netns = k->cgroup = k->layout = FD_NONE;
	k->faults = (fd_t){ open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) };
	e = kit_fill(k, like, o, d);
	if (failed(e)) {
		worker_kit_free(k);
		return e;
	}
	*ret_kit = k;
	return OK;
}

void worker_kit_free(struct worker_kit *k)
{
	if (k == NULL)
		return;
	fd_drop(&k->kvm);
	fd_drop(&k->netns);
	fd_drop(&k->cgroup);
	fd_drop(&k->layout);
	fd_drop(&k->faults);
	fd_drop(&k->program);
	free(k);
}

int worker_kit_layout(const struct worker_kit *k)
{
	return k->layout.raw;
}

int worker_kit_kvm(const struct worker_kit *k)
{
	return k->kvm.raw;
}

int worker_kit_faults(const struct worker_kit *k)
{
	return k->faults.raw;
}

err_t worker_kit_layers_new(const struct worker_kit *k, struct diag *d, struct zygote_layers *ret)
{
	for (uint32_t i = 0; i < k->disks; i++) {
		TRY(layer_file_new(NULL, k->capacity[i], d, &ret->fd[i]));
		ret->raw[i] = ret->fd[i].raw;
		ret->n = i + 1;
	}
	return OK;
}

/* ---- a process ---- */

/* Only system calls: the caller may have other threads. The worker finds its socket at 3. */
_Noreturn static void become_worker(int program, const struct jail_options *jail, int socket)
{
	char number[3][24];
	char *argv[5] = { (char *)(uintptr_t)"spore-worker", number[0], number[1], number[2], NULL };
	char *envp[1] = { NULL };

	(void)snprintf(number[0], sizeof number[0], "%u", jail->uid);
	(void)snprintf(number[1], sizeof number[1], "%u", jail->without);
	(void)snprintf(number[2], sizeof number[2], "%llu",
		       (unsigned long long)jail->limits.file_bytes);
	if (socket == 3 ? fcntl(3, F_SETFD, 0) == 0 : dup2(socket, 3) == 3)
		(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

/* Each its own user, so that neither a signal nor a limit reaches from one to another; by process
 * number, which no two that live have. */
static struct jail_options jail_of(const struct worker_kit *k)
{
	struct jail_options jail = k->jail;
	uint32_t n = atomic_fetch_add(&((struct worker_kit *)(uintptr_t)k)->next_uid, 1);

	jail.uid = JAIL_UIDS + ((uint32_t)getpid() * 4096u + n) % JAIL_UIDS_MAX;
	return jail;
}

err_t worker_kit_fork(const struct worker_kit *k, struct diag *d, struct jail_child *ret_child,
		      fd_t *ret_socket)
{
	struct jail_options jail = jail_of(k);
	int ends[2];
	err_t e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a worker's socket");
	*ret_socket = (fd_t){ ends[0] };
	e = jail_fork(&jail, d, ret_child);
	if (!failed(e) && ret_child->pid == 0)
		become_worker(k->program.raw, &jail, ends[1]);
	(void)close(ends[1]);
	return e;
}
