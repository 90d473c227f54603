/* SPDX-License-Identifier: Apache-2.0 */
/* Taking from a pool, and giving back what has ended. */
#include <string.h>

#include "life/devices.h"
#include "life/pool_parts.h"
#include "life/spawn.h"
#include "life/state.h"
#include "life/zygote_parts.h"

/* Looked at once for each zygote in a row: the same answer is expected whatever happens to be ready. */
err_t pool_judge(struct pool *p, struct zygote *z, struct diag *d)
{
	struct zygote *before;
	bool known;

	pool_lock(p);
	known = p->likely == z;
	pool_unlock(p);
	if (known)
		return OK;
	TRY(layouts_fit(p->layout, z, d));
	pool_lock(p);
	before = p->likely;
	p->likely = p->closing ? NULL : zygote_again(z);
	pool_unlock(p);
	zygote_free(before);
	return OK;
}

struct taken pool_take(struct pool *p, const struct zygote *z, const struct identity *id)
{
	struct taken t = { NULL, NULL };

	pool_lock(p);
	if (p->armed.n > 0 && z == p->zygote && id->n_disks == 0) {
		t.armed = stack_pop(&p->armed);
		p->from_armed++;
	} else if (p->shells.n > 0) {
		t.shell = stack_pop(&p->shells);
		p->from_shell++;
	} else {
		p->cold++;
	}
	pool_note_spawn(p);
	(void)pthread_cond_signal(&p->work);
	pool_unlock(p);
	return t;
}

bool pool_leave(struct pool *p, void *thing)
{
	if (p->closing || p->dead.n == POOL_DEAD_MOST)
		return false;
	stack_push(&p->dead, thing);
	(void)pthread_cond_signal(&p->work);
	return true;
}

/* ---- machines in this process ---- */

static err_t build(const struct pool *p, struct zygote *likely, struct diag *d, void **ret)
{
	struct shell_options o = { FD_NONE, FD_NONE, likely->layers };
	vm_shell *shell;

	TRY(shell_make(p->layout, &o, d, &shell));
	*ret = vm_of_shell(shell);
	return OK;
}

static err_t arm(const struct pool *p, struct zygote *z, struct diag *d, void **ret)
{
	const struct vm_options nobody = { 0 };
	const struct identity plain = { .clock = CLOCK_FROZEN };
	vm_paused *vm;

	(void)p;
	TRY(vm_spawn(z, &plain, &nobody, d, &vm));
	*ret = vm_of_paused(vm);
	return OK;
}

static void unbuild(void *vm)
{
	vm_free(vm);
}

err_t pool_new(struct zygote *z, struct pool_want want, struct diag *d, struct pool **ret_pool)
{
	static const struct pool_kind machines = { build, arm, unbuild };

	return pool_make(z, want, &machines, NULL, d, ret_pool);
}

err_t pool_spawn(struct pool *p, struct zygote *z, const struct identity *id,
		 const struct vm_options *o, struct diag *d, vm_paused **ret_vm)
{
	struct taken t;
	vm_shell *shell;
	err_t e;

	TRY(pool_judge(p, z, d));
	t = pool_take(p, z, id);
	if (t.armed != NULL) {
		*ret_vm = vm_as_paused(t.armed);
		vm_claim(*ret_vm, id, o);
		return OK;
	}
	if (t.shell == NULL)
		return vm_spawn(z, id, o, d, ret_vm);
	shell = vm_as_shell(t.shell);
	e = vm_spawn_in(&shell, z, id, o, d, ret_vm);
	if (failed(e))
		vm_shell_free(shell);
	return e;
}

/* ---- the end ---- */

static bool writes_in_place(const struct vm *vm)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(vm->geo)); i++)
		if (devices_disk_use(vm->devices, i).mode == DISK_RW)
			return true;
	return false;
}

static void retire(struct pool *p, struct vm *vm)
{
	bool left = false;

	(void)vcpus_park(vm->vcpus);
	if (!writes_in_place(vm)) {
		pool_lock(p);
		left = pool_leave(p, vm);
		pool_unlock(p);
	}
	if (!left)
		vm_free(vm);
}

void pool_retire(struct pool *p, vm_paused *vm)
{
	retire(p, vm_of_paused(vm));
}

void pool_retire_running(struct pool *p, vm_running *vm)
{
	retire(p, vm_of(vm));
}
