/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/identity.h"

#include <string.h>

#include "edge/lib/error.h"
#include "edge/lib/run_dir.h"
#include "plan/topology.h"

static_assert((int)CLOCK_FROZEN == (int)SPORE_CLOCK_FROZEN, "clock");
static_assert((int)CLOCK_STEPPED == (int)SPORE_CLOCK_STEPPED, "clock");

enum { IDENTITY_LEAST = sizeof(struct spore_identity), NETS_MAX = SHAPE_DEVICES_MAX };

static err_t disks_judge(const struct spore_identity *s, struct diag *d)
{
	if (s->n_disks > SPORE_DISKS_MAX)
		return diag_fail(d, FAIL(ERR_USAGE), "%zu disks to replace, expected at most %d",
				 s->n_disks, SPORE_DISKS_MAX);
	for (size_t i = 0; i < s->n_disks; i++) {
		const struct spore_identity_disk *k = &s->disks[i];
		enum disk_mode mode;

		if (k->path == NULL || k->path[0] == '\0')
			return diag_fail(d, FAIL(ERR_USAGE), "disk %u: no path", k->index);
		if (failed(disk_mode_parse(k->mode, &mode)))
			return diag_fail(d, FAIL(ERR_USAGE), "disk %u: mode is %u, expected 1 (ro), "
					 "2 (rw) or 3 (cow)", k->index, k->mode);
		for (size_t j = 0; j < i; j++)
			if (s->disks[j].index == k->index)
				return diag_fail(d, FAIL(ERR_USAGE), "disk %u was given two files: %s "
						 "and %s", k->index, s->disks[j].path, k->path);
	}
	return OK;
}

err_t identity_take(const struct spore_identity *given, struct spore_identity *ret, struct diag *d)
{
	TRY(options_take(given, IDENTITY_LEAST, sizeof *ret, ret, "spore_identity", d));
	TRY(options_check(0, 0, ret->reserved, "spore_identity", d));
	if (ret->clock > SPORE_CLOCK_STEPPED)
		return diag_fail(d, FAIL(ERR_USAGE), "spore_identity: clock is %u, expected 0 (frozen) "
				 "or 1 (stepped)", ret->clock);
	if (ret->name != NULL)
		TRY(run_name_check(ret->name, d));
	if (ret->n_nets > NETS_MAX)
		return diag_fail(d, FAIL(ERR_USAGE), "%zu network devices, expected at most %d",
				 ret->n_nets, NETS_MAX);
	return disks_judge(ret, d);
}

/* ---- against the machine ---- */

static uint32_t disks_of(const struct image *i)
{
	const struct topology *t = geometry_topology(image_geometry(i));
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < topology_slots(t); slot++)
		n += topology_slot(t, slot)->kind == DEV_BLK;
	return n;
}

static const uint8_t no_mac[6];

/* No machine has any of these devices yet. */
static err_t devices_judge(const struct spore_identity *s, struct diag *d)
{
	const char *lack = NULL;

	for (size_t i = 0; i < s->n_nets && lack == NULL; i++) {
		if (memcmp(s->nets[i].mac, no_mac, sizeof no_mac) != 0)
			lack = "network device to give a MAC to";
		else if (s->nets[i].tap != NULL)
			lack = "network device to connect to a tap";
	}
	if (lack == NULL && s->vsock_cid != 0)
		lack = "vsock device to give a CID to";
	if (lack == NULL && s->vsock_path != NULL)
		lack = "vsock device to connect to a socket";
	if (lack == NULL && s->hostname != NULL)
		lack = "agent to tell a host name";
	if (lack == NULL && (s->seed != NULL || s->seed_len != 0))
		lack = "agent to give a seed to";
	if (lack != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "the machine has no %s", lack);
	return OK;
}

err_t identity_for(const struct spore_identity *s, const struct image *machine,
		   struct identity_given *ret, struct diag *d)
{
	uint32_t have = disks_of(machine);

	TRY(devices_judge(s, d));
	ret->identity = (struct identity){ .name = s->name, .n_disks = s->n_disks,
					   .disks = ret->disks,
					   .clock = (enum clock_policy)s->clock };
	for (size_t i = 0; i < s->n_disks; i++) {
		if (s->disks[i].index >= have)
			return diag_fail(d, FAIL(ERR_USAGE), "disk %u was given another file, but the "
					 "machine has %u disks", s->disks[i].index, have);
		ret->disks[i] = (struct identity_disk){ s->disks[i].index,
							(enum disk_mode)s->disks[i].mode,
							s->disks[i].path };
	}
	return OK;
}
