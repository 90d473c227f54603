/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a machine without anything of it: an image that is judged like any other, of the same
 * shape, and the same for all machines of that layout. */
#include "life/blank.h"

#include <stdlib.h>
#include <string.h>

#include "support/sample.h"
#include "support/test.h"

static const struct image *image_of(const struct sample *s)
{
	const struct image *i = NULL;
	struct diag d = DIAG_INIT;
	uint8_t *bytes = NULL;
	foff_t ram = FOFF(0);
	size_t len;

	if (failed(image_encode(s->geometry, &s->parts, &d, &bytes, &len)) ||
	    failed(image_ram_offset(s->geometry, &s->parts, &d, &ram)) ||
	    failed(image_parse(cur_of(bytes, len), FOFF(ram.v + geometry_ram(s->geometry).v), &d,
			       &i)))
		fail_msg("%s", d.text);
	free(bytes);
	return i;
}

static struct capture_front blank(const struct image *like)
{
	struct capture_front f = { 0 };
	struct diag d = DIAG_INIT;

	if (failed(blank_of(like, &d, &f)))
		fail_msg("%s", d.text);
	return f;
}

/* As the processor of a worker would see it: CPUID, and how large its state is. */
static void processor_is(const struct vcpu_x86_64 *is, const struct vcpu_x86_64 *like)
{
	static const struct vcpu_x86_64 nothing;

	assert_int_equal(is->id.v, like->id.v);
	assert_int_equal(is->tsc_khz, like->tsc_khz);
	assert_int_equal(is->xsave_len, like->xsave_len);
	assert_int_equal(is->n_cpuid, like->n_cpuid);
	assert_memory_equal(is->cpuid, like->cpuid, like->n_cpuid * sizeof like->cpuid[0]);
	assert_int_equal(is->n_msrs, 0);
	assert_memory_equal(&is->regs, &nothing.regs, sizeof is->regs);
	assert_memory_equal(is->xsave, nothing.xsave, is->xsave_len);
	assert_memory_equal(is->lapic, nothing.lapic, sizeof is->lapic);
}

static void device_is(const struct device_state *is, const struct device_state *like)
{
	assert_int_equal(is->kind, like->kind);
	assert_int_equal(is->n_queues, like->n_queues);
	assert_int_equal(is->transport.status, 0);
	for (uint32_t q = 0; q < is->n_queues; q++) {
		assert_int_equal(is->queues[q].max_size, like->queues[q].max_size);
		assert_false(is->queues[q].ready);
		assert_true(is->queues[q].desc.v == 0);
	}
	assert_int_equal(is->config_len, like->config_len);
	assert_memory_equal(is->config, like->config, like->config_len);
	if (is->kind != DEV_BLK)
		return;
	assert_true(is->blk.capacity.v == like->blk.capacity.v);
	assert_int_equal(is->blk.mode, like->blk.mode);
	assert_string_equal(is->blk.base.path, "/blank");
	assert_int_equal(is->blk.layer_map_len, 0);
}

static void the_same_layout(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
		struct sample *s = sample_new(kind, 5);
		const struct image *like = image_of(s), *i = NULL;
		struct capture_front f = blank(like);
		const struct topology *t = geometry_topology(image_geometry(like));
		struct diag d = DIAG_INIT;

		if (failed(image_parse(cur_of(f.bytes, f.len), FOFF(f.total.v), &d, &i)))
			fail_msg("%s", d.text);
		assert_memory_equal(topology_shape(geometry_topology(image_geometry(i))),
				    topology_shape(t), sizeof(struct shape));
		for (uint32_t n = 0; n < topology_shape(t)->vcpus; n++)
			processor_is(image_vcpu(i, (vcpu_id){ n }), image_vcpu(like, (vcpu_id){ n }));
		for (uint32_t n = 0; n < topology_slots(t); n++)
			device_is(image_device(i, (slot_id){ n }), image_device(like, (slot_id){ n }));
		assert_int_equal(image_ram_map(i)->present, 0);
		assert_string_equal(image_note(i)->name, "blank");
		assert_string_equal(image_note(i)->cmdline, "");
		image_free(i);
		image_free(like);
		free(f.bytes);
		sample_free(s);
	}
}

/* What makes a layout, of one machine, to another that has nothing else of it. */
static void lay_out_as(struct sample *to, const struct sample *from)
{
	const struct shape *shape = topology_shape(geometry_topology(from->geometry));

	to->inventory = from->inventory;
	for (uint32_t i = 0; i < shape->vcpus; i++) {
		to->vcpus[i].tsc_khz = from->vcpus[i].tsc_khz;
		to->vcpus[i].xsave_len = from->vcpus[i].xsave_len;
		to->vcpus[i].n_cpuid = from->vcpus[i].n_cpuid;
		memcpy(to->vcpus[i].cpuid, from->vcpus[i].cpuid, sizeof to->vcpus[i].cpuid);
	}
	for (uint32_t i = 0; i < shape->n_devices; i++) {
		struct device_state *a = &to->devices[i];
		const struct device_state *b = &from->devices[i];

		memcpy(a->config, b->config, sizeof a->config);
		if (b->kind != DEV_BLK)
			continue;
		a->blk.capacity = b->blk.capacity;
		a->blk.base.size = b->blk.base.size;
		free(a->blk.layer_map);
		a->blk.layer_map = NULL;
		a->blk.layer_map_len = a->blk.layer_cluster = 0;
		memset(&a->blk.layer, 0, sizeof a->blk.layer);
	}
}

static void nothing_of_the_machine(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
		struct sample *s = sample_new(kind, 5), *other = sample_new(kind, 6);
		const struct image *a, *b;
		struct capture_front of_a, of_b;

		lay_out_as(other, s);
		other->parts.created_sec++;
		a = image_of(s);
		b = image_of(other);
		of_a = blank(a);
		of_b = blank(b);
		assert_int_equal(of_a.len, of_b.len);
		assert_memory_equal(of_a.bytes, of_b.bytes, of_a.len);
		assert_true(of_a.total.v == of_b.total.v);
		free(of_a.bytes);
		free(of_b.bytes);
		image_free(a);
		image_free(b);
		sample_free(s);
		sample_free(other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_layout),
		cmocka_unit_test(nothing_of_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
