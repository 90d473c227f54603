/* SPDX-License-Identifier: Apache-2.0 */
/* zygote -> a new machine in this process, PAUSED or RUNNING. */
#include <stdio.h>

#include "base/heap.h"
#include "edge/lib/config_image.h"
#include "edge/lib/local.h"
#include "life/zygote.h"

static err_t spawn(const struct spawn_request *r, const struct vm_options *o, struct diag *d,
		   vm_paused **ret_vm)
{
	if (r->pool != NULL)
		return pool_spawn(r->pool, r->zygote, r->identity, o, d, ret_vm);
	return vm_spawn(r->zygote, r->identity, o, d, ret_vm);
}

/* Of most children nobody asks what they are: only the files that one was given are noted down now. */
static err_t describe(struct local *l, const struct spawn_request *r, struct diag *d)
{
	struct spore_identity_disk disks[SPORE_DISKS_MAX];
	const struct identity *id = r->identity;
	const struct image *i = zygote_image(r->zygote);

	config_image_name(i, id->name, l->name, sizeof l->name);
	l->image = image_again(i);
	for (size_t n = 0; n < id->n_disks; n++)
		disks[n] = (struct spore_identity_disk){ id->disks[n].index,
							 (uint32_t)id->disks[n].mode,
							 id->disks[n].path };
	if (id->n_disks == 0)
		return OK;
	return config_doc_of_image(i, &(struct config_disks){ id->n_disks, disks }, d, &l->doc);
}

static err_t start(struct local *l, const struct spawn_request *r, struct diag *d)
{
	struct vm_options o = local_vm_options(l);
	vm_running *vm;

	o.since_ns = r->since_ns;
	TRY(describe(l, r, d));
	TRY(spawn(r, &o, d, &l->paused));
	l->pool = r->pool != NULL ? pool_again(r->pool) : NULL;
	l->state = SPORE_PAUSED;
	if (!r->resume)
		return OK;
	TRY(vm_resume(&l->paused, d, &vm));
	local_runs(l, vm);
	return OK;
}

err_t local_spawn(const struct spawn_request *r, struct diag *d, struct local **ret)
{
	struct local *l;
	err_t e;

	TRY(local_new(r->machine, d, &l));
	e = start(l, r, d);
	if (failed(e)) {
		spore_machine_free(&l->base);
		return e;
	}
	*ret = l;
	return OK;
}
