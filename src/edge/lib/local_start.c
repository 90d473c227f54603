/* SPDX-License-Identifier: Apache-2.0 */
/* NOT_STARTED -> RUNNING by booting, NOT_STARTED -> PAUSED by restoring. Each runs the stages of
 * flow.h; what they made is given to the handle only when all of them succeeded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "edge/lib/config_doc.h"
#include "edge/lib/config_image.h"
#include "edge/lib/json_read.h"
#include "edge/lib/local.h"
#include "edge/lib/run_dir.h"
#include "edge/lib/run_name.h"
#include "life/snapshot.h"
#include "plan/config.h"
#include "plan/geometry.h"
#include "plan/topology.h"

static_assert((int)BOOT_AUTO == (int)SPORE_BOOT_AUTO, "boot");
static_assert((int)BOOT_PVH == (int)SPORE_BOOT_PVH, "boot");
static_assert((int)BOOT_LINUX64 == (int)SPORE_BOOT_LINUX64, "boot");
static_assert((int)BOOT_BZIMAGE == (int)SPORE_BOOT_BZIMAGE, "boot");
static_assert((int)DISK_RO == (int)SPORE_DISK_RO, "disk mode");
static_assert((int)DISK_RW == (int)SPORE_DISK_RW, "disk mode");
static_assert((int)DISK_COW == (int)SPORE_DISK_COW, "disk mode");

static_assert((int)SPORE_DISKS_MAX == SHAPE_DEVICES_MAX - 1, "one slot is the entropy device");

/* The stages' results on the way; whatever is still here at the end is freed. */
struct stages {
	const struct config *config;
	const struct topology *topology;
	const struct geometry *geometry;
	vm_built *built;
};

static void stages_drop(struct stages *s)
{
	vm_built_free(s->built);
	geometry_free(s->geometry);
	topology_free(s->topology);
	config_free(s->config);
}

static err_t config_make(const struct spore_config *c, struct diag *d, const struct config **ret)
{
	struct disk_request disks[SPORE_DISKS_MAX];
	struct request r = {
		.name = c->name, .kernel = c->kernel, .initrd = c->initrd, .cmdline = c->cmdline,
		.boot = (enum boot_method)c->boot, .cpus = c->cpus, .ram = BYTES(c->memory),
		.n_disks = c->n_disks, .disks = disks,
	};

	if (c->n_disks > countof(disks))
		return diag_fail(d, FAIL(ERR_CONFIG), "%zu disks, expected at most %d", c->n_disks,
				 SPORE_DISKS_MAX);
	for (size_t i = 0; i < c->n_disks; i++) {
		if (c->disks[i].path == NULL)
			return diag_fail(d, FAIL(ERR_CONFIG), "disk %zu: no path", i);
		disks[i] = (struct disk_request){ c->disks[i].path,
						  (enum disk_mode)c->disks[i].mode };
	}
	return config_validate(&r, d, ret);
}

static err_t stages_run(struct local *l, const struct spore_config *c, struct stages *s,
			struct diag *d, vm_running **ret_vm)
{
	const struct vm_options options = local_vm_options(l);
	struct shape shape;

	TRY(config_make(c, d, &s->config));
	shape = config_shape(s->config);
	TRY(topology_plan(&shape, d, &s->topology));
	TRY(geometry_plan(s->topology, d, &s->geometry));
	TRY(vm_build(s->config, s->geometry, &options, d, &s->built));
	return vm_start(&s->built, d, ret_vm);
}

static err_t boot(struct local *l, const struct spore_config *c, struct diag *d)
{
	__attribute__((cleanup(stages_drop))) struct stages s = { NULL, NULL, NULL, NULL };
	owned_json doc = NULL;
	vm_running *vm;

	TRY(config_doc_of(c, d, &doc));
	console_calm(&l->console);
	TRY(stages_run(l, c, &s, d, &vm));
	l->doc = take_ptr(doc);
	(void)snprintf(l->name, sizeof l->name, "%s", c->name);
	local_runs(l, vm);
	return OK;
}

err_t local_boot(spore_machine *m, const struct spore_config *c, struct diag *d)
{
	struct spore_config named = *c;
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	char name[RUN_NAME_MAX + 1];

	if (l->state != SPORE_NOT_STARTED)
		return diag_fail(d, FAIL(ERR_STATE), "boot: The requested operation is not "
				 "supported after starting the microVM.");
	if (named.name == NULL) {
		run_name_make(0, name, sizeof name);
		named.name = name;
	}
	return boot(l, &named, d);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* At most SPORE_DISKS_MAX disks. */
static err_t restore_run(struct local *l, struct snapshot *snap,
			 const struct spore_restore_options *o, struct diag *d,
			 vm_paused **ret_vm)
{
	struct restore_disk disks[SPORE_DISKS_MAX];
	const struct vm_options vo = local_vm_options(l);
	const struct restore_options ro = { .name = o->name, .n_disks = o->n_disks,
					    .disks = disks };
	uint64_t start = now_ns();

	for (size_t i = 0; i < o->n_disks; i++)
		disks[i] = (struct restore_disk){ o->disks[i].index, o->disks[i].path };
	if ((o->flags & SPORE_RESTORE_VERIFY) != 0) {
		TRY(snapshot_verify(snap, o->progress, o->ctx, d));
		l->verify_ns = now_ns() - start;
	}
	return vm_restore(snap, &ro, &vo, d, ret_vm);
}

static void snapshot_drop(struct snapshot **s)
{
	snapshot_free(*s);
}

static err_t doc_of(const struct image *i, const struct spore_restore_options *o, struct diag *d,
		    json_t **ret_doc)
{
	struct spore_identity_disk disks[SPORE_DISKS_MAX];

	if (o->n_disks > countof(disks))
		return diag_fail(d, FAIL(ERR_USAGE), "%zu disks to replace, expected at most %d",
				 o->n_disks, SPORE_DISKS_MAX);
	for (size_t n = 0; n < o->n_disks; n++)
		disks[n] = (struct spore_identity_disk){ o->disks[n].index, 0, o->disks[n].path };
	return config_doc_of_image(i, &(struct config_disks){ o->n_disks, disks }, d, ret_doc);
}

static err_t restore_file(struct local *l, const char *path, const struct spore_restore_options *o,
			  struct diag *d)
{
	__attribute__((cleanup(snapshot_drop))) struct snapshot *snap = NULL;
	vm_paused *vm = NULL;
	owned_json doc = NULL;

	TRY(snapshot_open(path, d, &snap));
	TRY(doc_of(snapshot_image(snap), o, d, &doc));
	console_calm(&l->console);
	TRY(restore_run(l, snap, o, d, &vm));
	l->doc = take_ptr(doc);
	l->paused = vm;
	l->state = SPORE_PAUSED;
	config_image_name(snapshot_image(snap), o->name, l->name, sizeof l->name);
	return OK;
}

err_t local_restore(spore_machine *m, const char *path, const struct spore_restore_options *o,
		    struct diag *d)
{
	struct local *l = local_of(m);
	LOCAL_LOCK(l);
	vm_running *vm;
	err_t e;

	if (l->state != SPORE_NOT_STARTED)
		return diag_fail(d, FAIL(ERR_STATE), "restore: The requested operation is not "
				 "supported after starting the microVM.");
	TRY(restore_file(l, path, o, d));
	if ((o->flags & SPORE_RESTORE_RESUME) == 0)
		return OK;
	e = vm_resume(&l->paused, d, &vm);
	if (failed(e)) {
		local_unstart(l);
		return e;
	}
	local_runs(l, vm);
	return OK;
}
