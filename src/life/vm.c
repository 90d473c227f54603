/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a machine. Only this file turns one state's type into another's. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/devices.h"
#include "life/phases.h"
#include "life/snapshot.h"
#include "life/state.h"
#include "machine/disk/layer_files.h"

const char *vm_outcome_text(enum vm_outcome o)
{
	switch (o) {
#define X(name, number, text) case VM_##name: return text;
	VM_OUTCOMES(X)
#undef X
	}
	return "unknown";
}

/* ---- making and unmaking ---- */

static err_t add_event(int epoll, int fd, struct diag *d)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
		return diag_sys(d, FAIL_SYS(errno), "watching the machine's events");
	return OK;
}

/* The machine's own, through the only makers. */
static err_t geometry_again(const struct geometry *g, struct diag *d, const struct geometry **ret)
{
	const struct topology *t;
	err_t e;

	TRY(topology_plan(topology_shape(geometry_topology(g)), d, &t));
	e = geometry_plan(t, d, ret);
	topology_free(t);
	return e;
}

err_t vm_alloc(const struct geometry *g, const struct vm_options *o, struct diag *d,
	       struct vm **ret_vm)
{
	struct vm *vm = calloc(1, sizeof *vm);
	err_t e;

	if (vm == NULL)
		return FAIL(ERR_NOMEM);
	pthread_mutex_init(&vm->end_lock, NULL);
	vm->options = *o;
	vm->kvm = vm->fd = vm->watch = vm->events = FD_NONE;
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		vm->layer[i] = FD_NONE;
	vm->ended = (fd_t){ eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (!fd_is_open(vm->ended) ||
	    getrandom(vm->machine_id, sizeof vm->machine_id, 0) != sizeof vm->machine_id)
		e = diag_sys(d, FAIL_SYS(errno), "making a machine");
	else
		e = geometry_again(g, d, &vm->geo);
	if (failed(e)) {
		vm_free(vm);
		return e;
	}
	*ret_vm = vm;
	return OK;
}

/* vCPUs first: their threads use everything else. Devices before RAM: theirs use it. */
void vm_free(struct vm *vm)
{
	if (vm == NULL || vm->confined)
		return;
	vcpus_free(vm->vcpus);
	devices_free(vm->devices);
	fd_drop(&vm->fd);
	ram_free(vm->ram);
	arch_host_free(vm->host);
	fd_drop(&vm->kvm);
	fd_drop(&vm->ended);
	fd_drop(&vm->watch);
	fd_drop(&vm->events);
	image_free(vm->time_due);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		fd_drop(&vm->layer[i]);
		disk_base_free(vm->below[i]);
	}
	layer_files_free(vm->layers);
	if (vm->geo != NULL)
		geometry_free(vm->geo);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

void vm_built_free(vm_built *vm)
{
	vm_free((struct vm *)vm);
}

void vm_shell_free(vm_shell *vm)
{
	vm_free((struct vm *)vm);
}

void vm_running_free(vm_running *vm)
{
	vm_free((struct vm *)vm);
}

void vm_paused_free(vm_paused *vm)
{
	vm_free((struct vm *)vm);
}

struct vm *vm_of(const vm_running *vm)
{
	return (struct vm *)(uintptr_t)vm;
}

struct vm *vm_of_paused(const vm_paused *vm)
{
	return (struct vm *)(uintptr_t)vm;
}

vm_built *vm_as_built(struct vm *vm)
{
	return (vm_built *)vm;
}

struct vm *vm_of_shell(const vm_shell *shell)
{
	return (struct vm *)(uintptr_t)shell;
}

vm_shell *vm_as_shell(struct vm *vm)
{
	return (vm_shell *)vm;
}

vm_running *vm_as_running(struct vm *vm)
{
	return (vm_running *)vm;
}

vm_paused *vm_as_paused(struct vm *vm)
{
	return (vm_paused *)vm;
}

/* ---- the end ---- */

void vm_end(struct vm *vm, enum vm_outcome outcome, const char *why_fmt, ...)
{
	va_list args;

	pthread_mutex_lock(&vm->end_lock);
	if (vm->outcome == VM_NONE) {
		vm->outcome = outcome;
		va_start(args, why_fmt);
		(void)vsnprintf(vm->why.text, sizeof vm->why.text, why_fmt, args);
		va_end(args);
		(void)eventfd_write(vm->ended.raw, 1);
	}
	pthread_mutex_unlock(&vm->end_lock);
}

static enum vm_outcome outcome_now(struct vm *vm, struct diag *d)
{
	enum vm_outcome o;

	pthread_mutex_lock(&vm->end_lock);
	o = vm->outcome;
	if (o == VM_ERROR || o == VM_CRASH)
		ignore(diag_fail(d, FAIL(ERR_INTERNAL), "%s", vm->why.text));
	pthread_mutex_unlock(&vm->end_lock);
	return o;
}

static bool is_same_file(const char *path, int file)
{
	struct stat a, b;

	return stat(path, &a) == 0 && fstat(file, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* By its name, if that is still the file's: the way through /proc is sure, but makes an inode
 * there first, which is slow. */
static fd_t watch_of(const char *path)
{
	owned_fd watch = { inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };

	if (!fd_is_open(watch) || inotify_add_watch(watch.raw, path, IN_MODIFY) < 0)
		return FD_NONE;
	return fd_take(&watch);
}

err_t vm_watch_file(struct vm *vm, const char *path, int file, struct diag *d)
{
	owned_fd watch = watch_of(path);
	char self[32];

	if (!fd_is_open(watch) || !is_same_file(path, file)) {
		/* In a new instance: to remove a watch is an event, too. */
		fd_drop(&watch);
		(void)snprintf(self, sizeof self, "/proc/self/fd/%d", file);
		watch = watch_of(self);
	}
	/* A host without inotify left, or without /proc, loses only the early warning. */
	if (!fd_is_open(watch))
		return OK;
	vm->events = (fd_t){ epoll_create1(EPOLL_CLOEXEC) };
	if (!fd_is_open(vm->events))
		return diag_sys(d, FAIL_SYS(errno), "watching the machine's events");
	TRY(add_event(vm->events.raw, vm->ended.raw, d));
	TRY(add_event(vm->events.raw, watch.raw, d));
	vm->watch = fd_take(&watch);
	return OK;
}

/* Somebody wrote to the file that the guest's unwritten pages are read from. */
static void look_at_watch(struct vm *vm)
{
	char events[512];

	if (!fd_is_open(vm->watch) || read(vm->watch.raw, events, sizeof events) <= 0)
		return;
	vm_end(vm, VM_ERROR, "the snapshot file behind the guest's RAM was changed while it ran");
	vcpus_halt(vm->vcpus);
}

enum vm_outcome vm_outcome(const vm_running *vm, struct diag *d)
{
	look_at_watch(vm_of(vm));
	return outcome_now(vm_of(vm), d);
}

enum vm_outcome vm_paused_outcome(const vm_paused *vm, struct diag *d)
{
	look_at_watch(vm_of_paused(vm));
	return outcome_now(vm_of_paused(vm), d);
}

int vm_event_fd(const vm_running *vm)
{
	return fd_is_open(vm_of(vm)->events) ? vm_of(vm)->events.raw : vm_of(vm)->ended.raw;
}

void vm_stop(vm_running *vm)
{
	vm_end(vm_of(vm), VM_STOPPED, "%s", "");
	vcpus_park(vm_of(vm)->vcpus);
}

void vm_wait_quiet(vm_running *vm)
{
	vcpus_wait_parked(vm_of(vm)->vcpus);
}

/* ---- transitions ---- */

err_t vm_start(vm_built **in, struct diag *d, vm_running **ret_vm)
{
	struct vm *vm = (struct vm *)*in;

	(void)d;
	devices_release(vm->devices);
	vcpus_resume(vm->vcpus);
	*in = NULL;
	*ret_vm = (vm_running *)vm;
	return OK;
}

err_t vm_pause(vm_running **in, struct diag *d, vm_paused **ret_vm)
{
	struct vm *vm = vm_of(*in);
	enum vm_outcome ended;

	/* vCPUs first, then devices: what a device finishes may raise an interrupt, and finds the
	 * chips standing still but listening. */
	vcpus_park(vm->vcpus);
	ended = outcome_now(vm, NULL);
	if (ended != VM_NONE)
		return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s",
				 vm_outcome_text(ended));
	vm->in_flight = devices_hold(vm->devices);
	*in = NULL;
	*ret_vm = (vm_paused *)vm;
	return OK;
}

err_t vm_settle_time(struct vm *vm, struct diag *d)
{
	if (vm->time_due == NULL)
		return OK;
	TRY(arch_load_time(vm, vm->time_due, d));
	image_free(vm->time_due);
	vm->time_due = NULL;
	return OK;
}

err_t vm_resume(vm_paused **in, struct diag *d, vm_running **ret_vm)
{
	struct vm *vm = vm_of_paused(*in);
	enum vm_outcome ended = outcome_now(vm, NULL);
	bool first = vm->time_due != NULL;
	struct phase_times unwanted;
	struct stopwatch w = first ? stopwatch_continue(&vm->times) : stopwatch_start(&unwanted);

	if (ended != VM_NONE)
		return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s",
				 vm_outcome_text(ended));
	if (first)
		TRY(vm_settle_time(vm, d));
	else
		arch_notify_paused(vm);
	stopwatch_lap(&w, "irqchip and clock");
	/* Interrupts raised from here on reach chips that are loaded by now. */
	devices_release(vm->devices);
	stopwatch_lap(&w, "device kicks");
	vcpus_resume(vm->vcpus);
	*in = NULL;
	*ret_vm = (vm_running *)vm;
	return OK;
}

/* ---- looking ---- */

size_t vm_console_input(vm_running *vm, const uint8_t *bytes, size_t n)
{
	return devices_console_input(vm_of(vm)->devices, bytes, n);
}

const struct phase_times *vm_times(const vm_paused *vm)
{
	return &vm_of_paused(vm)->times;
}

const struct phase_times *vm_running_times(const vm_running *running)
{
	struct vm *vm = vm_of(running);
	struct phase_times *t = &vm->times;
	uint64_t at;

	if (!vm->entry_timed) {
		at = vcpus_first_entry(vm->vcpus);
		if (at == 0)
			return t;
		vm->entry_timed = true;
		stopwatch_row(t, "first entry", at);
	}
	at = vm->exit_timed ? 0 : vcpus_first_exit(vm->vcpus);
	if (at != 0) {
		vm->exit_timed = true;
		stopwatch_row(t, "first exit", at);
	}
	return t;
}

const struct geometry *vm_geometry(const vm_paused *vm)
{
	return vm_of_paused(vm)->geo;
}
