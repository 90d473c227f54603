/* SPDX-License-Identifier: Apache-2.0 */
/* Whole machines through the writer and the judge and back. */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "support/mutant.h"
#include "support/sample.h"
#include "support/test.h"

struct file {
	struct sample *sample;
	uint8_t *bytes;
	size_t len;
	foff_t end;
};

static struct file file_of(unsigned kind, uint64_t seed)
{
	struct file f = { .sample = sample_new(kind, seed) };
	struct diag d = DIAG_INIT;
	err_t e;
	foff_t ram;

	assert_non_null(f.sample);
	e = image_encode(f.sample->geometry, &f.sample->parts, &d, &f.bytes, &f.len);
	if (failed(e))
		fail_msg("%s", d.text);
	assert_int_equal(image_ram_offset(f.sample->geometry, &f.sample->parts, &d, &ram).code,
			 ERR_NONE);
	f.end = FOFF(ram.v + geometry_ram(f.sample->geometry).v);
	return f;
}

static void file_free(struct file *f)
{
	sample_free(f->sample);
	free(f->bytes);
}

/* Two values are equal when they encode to the same bytes: the structs themselves have padding. */
#define assert_encoded_equal(encode, a, b) \
	do { \
		static uint8_t left_[KIB(64)], right_[KIB(64)]; \
		struct out l_ = out_of(left_, sizeof left_), r_ = out_of(right_, sizeof right_); \
		encode(&l_, a); \
		encode(&r_, b); \
		assert_int_equal(l_.len, r_.len); \
		assert_memory_equal(left_, right_, l_.len); \
	} while (0)

/* The image holds what the sample held. */
static void image_equal(const struct image *im, const struct sample *s)
{
	const struct topology *t = geometry_topology(s->geometry);

	assert_memory_equal(image_head(im)->machine_id, s->parts.machine_id, SNAP_ID_LEN);
	assert_int_equal(image_head(im)->generation, s->parts.generation);
	assert_int_equal(image_head(im)->created_sec, s->parts.created_sec);
	assert_int_equal(image_head(im)->created_nsec, s->parts.created_nsec);
	assert_encoded_equal(inventory_encode, image_inventory(im), &s->inventory);
	assert_encoded_equal(machine_note_encode, image_note(im), &s->note);
	assert_encoded_equal(irqchip_x86_64_encode, image_irqchip(im), &s->irqchip);
	assert_encoded_equal(clock_x86_64_encode, image_clock(im), &s->clock);
	assert_encoded_equal(serial_state_encode, image_serial(im), &s->serial);
	for (uint32_t i = 0; i < topology_shape(t)->vcpus; i++)
		assert_encoded_equal(vcpu_x86_64_encode, image_vcpu(im, (vcpu_id){ i }),
				     &s->vcpus[i]);
	for (uint32_t i = 0; i < topology_slots(t); i++) {
		assert_encoded_equal(device_state_encode, image_device(im, (slot_id){ i }),
				     &s->devices[i]);
	}
	assert_int_equal(image_ram_map(im)->blocks, s->ram_map.blocks);
	assert_int_equal(image_ram_map(im)->present, s->ram_map.present);
	assert_memory_equal(image_ram_map(im)->bits, s->ram_bits, (s->ram_map.blocks + 7) / 8);
}

/* The parts of an image, so that it can be written again. */
static struct image_parts parts_of(const struct image *im, const struct sample *s)
{
	struct image_parts p = s->parts;

	p.inventory = image_inventory(im);
	p.note = image_note(im);
	p.vcpus = image_vcpu(im, (vcpu_id){ 0 });
	p.irqchip = image_irqchip(im);
	p.clock = image_clock(im);
	if (topology_slots(geometry_topology(image_geometry(im))) != 0)
		p.devices = image_device(im, (slot_id){ 0 });
	p.serial = image_serial(im);
	p.ram_map = image_ram_map(im);
	return p;
}

static void comes_back_as_it_was(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
		struct file f = file_of(kind, 1 + kind);
		const struct image *im;
		struct diag d = DIAG_INIT;
		owned_heap uint8_t *again = NULL;
		struct image_parts p;
		size_t len;

		assert_int_equal(image_parse(cur_of(f.bytes, f.len), f.end, &d, &im).code,
				 ERR_NONE);
		image_equal(im, f.sample);
		p = parts_of(im, f.sample);
		assert_int_equal(image_encode(image_geometry(im), &p, &d, &again, &len).code,
				 ERR_NONE);
		assert_int_equal(len, f.len);
		assert_memory_equal(again, f.bytes, len);
		image_free(im);
		file_free(&f);
	}
}

static void extent_ends_before_the_sums(void **state)
{
	struct file f = file_of(1, 7);
	const struct image *im;
	bytes_t need;

	(void)state;
	assert_int_equal(image_extent(cur_of(f.bytes, 8192), f.end, NULL, &need).code, ERR_NONE);
	assert_int_equal(need.v % 64, 0);
	assert_true(need.v < f.len);
	/* That much is enough, one byte less is not. */
	assert_int_equal(image_parse(cur_of(f.bytes, need.v - 1), f.end, NULL, &im).code,
			 ERR_TRUNCATED);
	assert_int_equal(image_parse(cur_of(f.bytes, need.v), f.end, NULL, &im).code, ERR_NONE);
	assert_int_equal(image_row(im, SECT_RAM_SUMS, 0)->offset.v, need.v);
	assert_int_equal(image_row(im, SECT_RAM, 0)->offset.v % MIB(2), 0);
	image_free(im);
	file_free(&f);
}

static void the_length_of_the_file_is_its_own(void **state)
{
	struct file f = file_of(0, 3);
	const struct image *im = NULL;
	struct diag d = DIAG_INIT, e = DIAG_INIT;

	(void)state;
	assert_int_equal(image_parse(cur_of(f.bytes, f.len), FOFF(f.end.v - 1), &d, &im).code,
			 ERR_TRUNCATED);
	assert_string_equal(d.field, "total");
	assert_int_equal(image_parse(cur_of(f.bytes, f.len), FOFF(f.end.v + 1), &e, &im).code,
			 ERR_TRAILING);
	assert_string_equal(e.field, "total");
	assert_null(im);
	file_free(&f);
}

static void a_refusal_names_its_place(void **state)
{
	struct file f = file_of(1, 5);
	const struct image *im;
	struct diag d = DIAG_INIT;
	uint64_t at;

	(void)state;
	assert_int_equal(image_parse(cur_of(f.bytes, f.len), f.end, NULL, &im).code, ERR_NONE);
	at = image_row(im, SECT_VCPU, 2)->offset.v;
	image_free(im);
	f.bytes[at + 4] ^= 1;
	assert_int_equal(image_parse(cur_of(f.bytes, f.len), f.end, &d, &im).code, ERR_CHECKSUM);
	assert_string_equal(d.section, "vcpu");
	assert_string_equal(d.field, "crc");
	assert_true(d.has_offset);
	assert_int_equal(d.offset, at);
	file_free(&f);
}

static void work_is_proportional_to_the_input(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
		struct file f = file_of(kind, 21);
		uint64_t before = bytes_steps();
		const struct image *im;

		assert_int_equal(image_parse(cur_of(f.bytes, f.len), f.end, NULL, &im).code,
				 ERR_NONE);
		assert_true(bytes_steps() - before < f.len);
		image_free(im);
		file_free(&f);
	}
}

/* What a decoder accepts, its encoder writes back byte for byte: every value has one way to be
 * written. `bytes` is the part of an accepted file before the RAM checksums. */
static void written_back_the_same(const struct image *im, const struct sample *s,
				  const uint8_t *bytes)
{
	size_t from = SNAP_HEAD_SIZE + (size_t)image_rows(im) * SNAP_ROW_SIZE;
	uint64_t to = image_row(im, SECT_RAM_SUMS, 0)->offset.v;
	struct image_parts p = parts_of(im, s);
	owned_heap uint8_t *again = NULL;
	size_t len;

	p.ram_sums = NULL;
	assert_int_equal(image_encode(image_geometry(im), &p, NULL, &again, &len).code, ERR_NONE);
	assert_true(len >= to);
	assert_memory_equal(again + from, bytes + from, to - from);
}

static void what_is_accepted_is_canonical(void **state)
{
	uint64_t seed = 2026, accepted = 0;

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct file f = file_of(kind, 31), g = file_of((kind + 1) % 3, 32);
		struct pieces *good = pieces_of(f.bytes, f.len), *donor = pieces_of(g.bytes, g.len);

		for (int i = 0; i < 3000; i++) {
			struct pieces *p = pieces_copy(good);
			const struct image *im;
			foff_t end;
			size_t len;
			uint8_t *bytes;

			pieces_mutate(p, donor, &seed);
			bytes = pieces_encode(p, &len, &end);
			if (!failed(image_parse(cur_of(bytes, len), end, NULL, &im))) {
				accepted++;
				written_back_the_same(im, f.sample, bytes);
				image_free(im);
			}
			free(bytes);
			pieces_free(p);
		}
		pieces_free(good);
		pieces_free(donor);
		file_free(&f);
		file_free(&g);
	}
	assert_true(accepted > 100);
}

static void a_view_is_of_the_right_kind(void **state)
{
	struct sample *s = sample_new(1, 1);
	struct blk_view blk;
	struct rng_view rng;

	(void)state;
	assert_true(device_as_blk(&s->devices[0], &blk));
	assert_ptr_equal(blk.dev, &s->devices[0]);
	assert_false(device_as_rng(&s->devices[0], &rng));
	assert_true(device_as_rng(&s->devices[4], &rng));
	assert_ptr_equal(rng.dev, &s->devices[4]);
	assert_false(device_as_blk(&s->devices[4], &blk));
	sample_free(s);
}

/* Counts that no array holds: the encoder writes nothing that could be taken for something else. */
static void impossible_counts_are_not_written(void **state)
{
	struct sample *s = sample_new(0, 1);
	uint8_t bytes[256];
	struct out o = out_of(bytes, sizeof bytes);
	struct topology_section t = { .n = SHAPE_DEVICES_MAX + 1 };

	(void)state;
	s->vcpus[0].n_msrs = X86_MSRS_MAX + 1;
	vcpu_x86_64_encode(&o, &s->vcpus[0]);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	o = out_of(bytes, sizeof bytes);
	s->inventory.n_caps = INVENTORY_CAPS_MAX + 1;
	inventory_encode(&o, &s->inventory);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	o = out_of(bytes, sizeof bytes);
	topology_section_encode(&o, &t);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	o = out_of(bytes, sizeof bytes);
	s->devices[1].n_queues = SHAPE_QUEUES_MAX + 1;
	device_state_encode(&o, &s->devices[1]);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	s->devices[1].n_queues = 1;
	o = out_of(bytes, sizeof bytes);
	s->serial.rx_len = SERIAL_FIFO + 1;
	serial_state_encode(&o, &s->serial);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	sample_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(extent_ends_before_the_sums),
		cmocka_unit_test(the_length_of_the_file_is_its_own),
		cmocka_unit_test(a_refusal_names_its_place),
		cmocka_unit_test(work_is_proportional_to_the_input),
		cmocka_unit_test(what_is_accepted_is_canonical),
		cmocka_unit_test(a_view_is_of_the_right_kind),
		cmocka_unit_test(impossible_counts_are_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
