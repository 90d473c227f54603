/* SPDX-License-Identifier: Apache-2.0 */
/* The spine: the stages of a machine's life in order. The output type of each line is the input
 * type of the next. Read this file first; each stage's own header has its contract.
 *
 *   request -> config -> topology -> geometry -> vm_built -> vm_running <-> vm_paused -> snapshot
 *   snapshot -> image -> vm_paused (restored)
 *   vm_paused -> zygote -> vm_paused (spawned, any number of times)
 *   vm_running -> zygote, and vm_running (branched)
 *
 * vm_shell, vm_built, vm_running and vm_paused are never defined: they are one object seen through
 * four types, so that a call which the state does not allow does not compile. A transition takes
 * `**in`, sets it to NULL and yields the next type; on failure *in stays as it was, unless the
 * stage's contract says that the machine is gone. */
#pragma once

#include "base/diag.h"
#include "base/units.h"

struct request; struct config; struct shape; struct topology; struct geometry;
struct image; struct snapshot; struct snapshot_options; struct restore_options; struct host;
struct vm_options; struct phase_times; struct zygote; struct identity;
struct branch_means; struct branch_times;

typedef struct vm_shell vm_shell;
typedef struct vm_built vm_built;
typedef struct vm_running vm_running;
typedef struct vm_paused vm_paused;

/* plan: pure decisions */
must_check err_t config_validate(const struct request *in, struct diag *d, const struct config **ret_cfg);
must_check err_t topology_plan(const struct shape *in, struct diag *d, const struct topology **ret_top);
must_check err_t geometry_plan(const struct topology *in, struct diag *d, const struct geometry **ret_geo);

/* life: acts on the host */
must_check err_t vm_build(const struct config *cfg, const struct geometry *in, const struct vm_options *o,
			  struct diag *d, vm_built **ret_vm);
must_check err_t vm_start(vm_built **in, struct diag *d, vm_running **ret_vm);
must_check err_t vm_pause(vm_running **in, struct diag *d, vm_paused **ret_vm);
must_check err_t vm_resume(vm_paused **in, struct diag *d, vm_running **ret_vm);
must_check err_t snapshot_take(vm_paused *vm, const struct snapshot_options *o, struct diag *d);
must_check err_t snapshot_open(const char *path, struct diag *d, struct snapshot **ret_snap);
must_check err_t vm_restore(struct snapshot *in, const struct restore_options *o,
			    const struct vm_options *vo, struct diag *d, vm_paused **ret_vm);
must_check err_t vm_freeze(vm_paused **in, struct diag *d, struct zygote **ret_zygote);
must_check err_t zygote_load(struct snapshot *in, const struct restore_options *o, struct diag *d,
			     struct zygote **ret_zygote);
must_check err_t vm_spawn(struct zygote *in, const struct identity *id, const struct vm_options *o,
			  struct diag *d, vm_paused **ret_vm);
/* The same in a shell, which is consumed, and gone on failure; but not when it does not fit, or what the
 * child is to have cannot be had. */
must_check err_t vm_spawn_in(vm_shell **shell, struct zygote *in, const struct identity *id,
			     const struct vm_options *o, struct diag *d, vm_paused **ret_vm);
must_check err_t vm_branch(vm_running **io_vm, const struct branch_means *means, struct diag *d,
			   struct zygote **ret_zygote, struct branch_times *ret_times);
