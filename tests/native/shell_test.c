/* SPDX-License-Identifier: Apache-2.0 */
/* Shells: a zygote of another layout is refused, and the first thing that differs is named. Images
 * that no machine here would make are put together from one that it made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life/zygote_parts.h"
#include "plan/geometry.h"
#include "support/image_encode.h"
#include "support/kin.h"
#include "support/place.h"

enum { DISK = 1 << 20, BLK_NUM_QUEUES = 34 }; /* virtio 1.2, 5.2.4 */

static struct zygote *zygote_of(uint32_t cpus, uint64_t ram, size_t disks)
{
	struct disk_request same[3];
	struct request r = kin_request();

	for (size_t i = 0; i < disks; i++)
		same[i] = (struct disk_request){ "disk.img", DISK_COW };
	r.cpus = cpus;
	r.ram = BYTES(ram);
	r.disks = same;
	r.n_disks = disks;
	place_make_disk("disk.img", DISK, 1, 0);
	return kin_freeze(kin_boot(&r));
}

static void misfit(vm_shell **shell, struct zygote *z, enum err_code code, const char *words)
{
	vm_shell *was = *shell;
	struct diag d = DIAG_INIT, again = DIAG_INIT;
	vm_paused *vm = NULL;

	assert_int_equal(shell_fits(*shell, z, &d).code, code);
	if (strstr(d.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", d.text, words);
	assert_int_equal(vm_spawn_in(shell, z, &(struct identity){ 0 }, &(struct vm_options){ 0 },
				     &again, &vm).code, code);
	assert_string_equal(again.text, d.text);
	assert_null(vm);
	assert_ptr_equal(*shell, was); /* it is still good for those that fit */
}

static void fits(vm_shell *shell, struct zygote *z)
{
	struct diag d = DIAG_INIT;

	if (failed(shell_fits(shell, z, &d)))
		fail_msg("%s", d.text);
}

static void machines_of_another_size(void **state)
{
	struct zygote *like = zygote_of(1, MIB(32), 1), *twin = zygote_of(1, MIB(32), 1);
	struct zygote *cpus = zygote_of(2, MIB(32), 1), *ram = zygote_of(1, MIB(48), 1);
	struct zygote *disks = zygote_of(1, MIB(32), 2), *none = zygote_of(1, MIB(32), 0);
	vm_shell *shell = shell_like(like);
	struct kin *k;

	(void)state;
	misfit(&shell, cpus, ERR_TOPOLOGY, "it has 2 vCPUs, expected 1");
	misfit(&shell, ram, ERR_TOPOLOGY, "it has 50331648 bytes of RAM, expected 33554432");
	misfit(&shell, disks, ERR_TOPOLOGY, "it has 3 devices, expected 2");
	misfit(&shell, none, ERR_TOPOLOGY, "it has 1 devices, expected 2");
	fits(shell, like);
	fits(shell, twin);
	/* made for the one, good for the other */
	k = kin_spawn_in(&shell, twin, &(struct identity){ 0 });
	kin_resume(k);
	(void)kin_ask(k, "echo alive");
	kin_free(k);
	zygote_free(like);
	zygote_free(twin);
	zygote_free(cpus);
	zygote_free(ram);
	zygote_free(disks);
	zygote_free(none);
}

/* ---- images of our own ---- */

/* What a zygote's image says, to be changed. */
struct copy {
	struct shape shape;
	struct vcpu_x86_64 vcpu[2];
	struct device_state device[SHAPE_DEVICES_MAX];
};

static struct copy *copy_of(const struct zygote *z)
{
	const struct topology *t = geometry_topology(image_geometry(z->image));
	struct copy *c = calloc(1, sizeof *c);

	assert_non_null(c);
	c->shape = *topology_shape(t);
	assert_in_range(c->shape.vcpus, 1, 2);
	for (uint32_t i = 0; i < c->shape.vcpus; i++)
		c->vcpu[i] = *image_vcpu(z->image, (vcpu_id){ i });
	for (uint32_t i = 0; i < c->shape.n_devices; i++)
		c->device[i] = *image_device(z->image, (slot_id){ i });
	return c;
}

static const struct geometry *geometry_of_copy(const struct copy *c)
{
	const struct topology *t = NULL;
	const struct geometry *g = NULL;
	struct diag d = DIAG_INIT;

	if (failed(topology_plan(&c->shape, &d, &t)) || failed(geometry_plan(t, &d, &g)))
		fail_msg("%s", d.text);
	topology_free(t);
	return g;
}

/* Judged, as every image; a zygote of nothing else. Takes the copy. */
static struct zygote *zygote_of_copy(const struct zygote *z, struct copy *c)
{
	const struct image *i = z->image;
	const struct geometry *g = geometry_of_copy(c);
	struct image_parts p = {
		.inventory = image_inventory(i), .note = image_note(i), .vcpus = c->vcpu,
		.irqchip = image_irqchip(i), .clock = image_clock(i), .devices = c->device,
		.serial = image_serial(i), .ram_map = image_ram_map(i),
	};
	struct zygote *made = NULL;
	struct diag d = DIAG_INIT;
	uint8_t *bytes = NULL;
	foff_t ram = FOFF(0);
	size_t len;

	if (failed(image_encode(g, &p, &d, &bytes, &len)) ||
	    failed(image_ram_offset(g, &p, &d, &ram)) ||
	    failed(zygote_of_front(&bytes, len, BYTES(ram.v + geometry_ram(g).v), &d, &made)))
		fail_msg("%s", d.text);
	free(bytes);
	geometry_free(g);
	free(c);
	return made;
}

static void devices_of_another_kind(void **state)
{
	struct zygote *like = zygote_of(1, MIB(32), 1), *other;
	struct copy *c = copy_of(like);
	struct dev_shape kind = c->shape.devices[0];
	struct device_state device = c->device[0];
	vm_shell *shell = shell_like(like);

	(void)state;
	c->shape.devices[0] = c->shape.devices[1];
	c->shape.devices[1] = kind;
	c->device[0] = c->device[1];
	c->device[1] = device;
	other = zygote_of_copy(like, c);
	misfit(&shell, other, ERR_TOPOLOGY,
	       "in slot 0 it has rng with 1 queues, expected blk with 1");
	zygote_free(other);
	vm_shell_free(shell);
	zygote_free(like);
}

static void devices_with_more_queues(void **state)
{
	struct zygote *like = zygote_of(1, MIB(32), 1), *other;
	struct copy *c = copy_of(like);
	vm_shell *shell = shell_like(like);

	(void)state;
	c->shape.devices[0].queues = 2;
	c->device[0].n_queues = 2;
	c->device[0].queues[1] = c->device[0].queues[0];
	c->device[0].config[BLK_NUM_QUEUES] = 2;
	other = zygote_of_copy(like, c);
	misfit(&shell, other, ERR_TOPOLOGY,
	       "in slot 0 it has blk with 2 queues, expected blk with 1");
	zygote_free(other);
	vm_shell_free(shell);
	zygote_free(like);
}

/* One bit of one leaf of the last processor; a leaf too few; another TSC. */
static void other_processors(void **state)
{
	struct zygote *like = zygote_of(2, MIB(32), 0), *other;
	vm_shell *shell = shell_like(like);
	struct copy *c = copy_of(like);
	uint32_t last = c->vcpu[1].n_cpuid - 1;
	char words[64];

	(void)state;
	other = zygote_of_copy(like, c);
	fits(shell, other);
	zygote_free(other);
	c = copy_of(like);
	c->vcpu[1].cpuid[last].edx ^= 1;
	(void)snprintf(words, sizeof words, "vCPU 1 differs in CPUID leaf %#" PRIx32,
		       c->vcpu[1].cpuid[last].function);
	other = zygote_of_copy(like, c);
	misfit(&shell, other, ERR_CPU_FEATURE, words);
	zygote_free(other);
	c = copy_of(like);
	c->vcpu[0].n_cpuid--;
	other = zygote_of_copy(like, c);
	misfit(&shell, other, ERR_CPU_FEATURE, "CPUID leaves, expected");
	zygote_free(other);
	c = copy_of(like);
	c->vcpu[0].tsc_khz += 1000;
	c->vcpu[1].tsc_khz += 1000;
	other = zygote_of_copy(like, c);
	misfit(&shell, other, ERR_CPU_FEATURE, "the TSC runs at");
	zygote_free(other);
	vm_shell_free(shell);
	zygote_free(like);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machines_of_another_size),
		cmocka_unit_test(devices_of_another_kind),
		cmocka_unit_test(devices_with_more_queues),
		cmocka_unit_test(other_processors),
	};

	return cmocka_run_group_tests_name("shell", tests, place_setup, place_teardown);
}
