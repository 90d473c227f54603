/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/own.h"
#include "flow.h"

/* splitmix64: Steele, Lea, Flood 2014. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return next(seed) % n;
}

static void fill(uint64_t *seed, void *bytes, size_t n)
{
	uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next(seed);
}

static const struct shape shapes[SAMPLE_KINDS] = {
	{ .vcpus = 1, .ram = { MIB(16) }, .n_devices = 2,
	  .devices = { { DEV_BLK, 1 }, { DEV_RNG, 1 } } },
	{ .vcpus = 4, .ram = { MIB(32) }, .n_devices = 5,
	  .devices = { { DEV_BLK, 2 }, { DEV_BLK, 1 }, { DEV_BLK, 8 }, { DEV_BLK, 1 },
		       { DEV_RNG, 1 } } },
	{ .vcpus = 2, .ram = { MIB(16) + RAM_BLOCK } },
	{ .vcpus = 1, .ram = { GIB(5) }, .n_devices = 1, .devices = { { DEV_RNG, 1 } } },
};

static void segment_fill(uint64_t *seed, struct x86_segment *s)
{
	*s = (struct x86_segment){
		.base = next(seed), .limit = (uint32_t)next(seed), .selector = (uint16_t)next(seed),
		.type = (uint8_t)below(seed, 16), .present = (uint8_t)below(seed, 2),
		.dpl = (uint8_t)below(seed, 4), .db = (uint8_t)below(seed, 2),
		.s = (uint8_t)below(seed, 2), .l = (uint8_t)below(seed, 2),
		.g = (uint8_t)below(seed, 2), .avl = (uint8_t)below(seed, 2),
		.unusable = (uint8_t)below(seed, 2),
	};
}

static void events_fill(uint64_t *seed, struct x86_events *e)
{
	*e = (struct x86_events){
		.exception_injected = (uint8_t)below(seed, 2),
		.exception_nr = (uint8_t)below(seed, 32),
		.exception_has_error_code = (uint8_t)below(seed, 2),
		.exception_pending = (uint8_t)below(seed, 2),
		.exception_error_code = (uint32_t)next(seed),
		.interrupt_injected = (uint8_t)below(seed, 2),
		.interrupt_nr = (uint8_t)next(seed),
		.interrupt_soft = (uint8_t)below(seed, 2),
		.interrupt_shadow = (uint8_t)below(seed, 4),
		.nmi_injected = (uint8_t)below(seed, 2),
		.nmi_pending = (uint8_t)below(seed, 3),
		.nmi_masked = (uint8_t)below(seed, 2),
		.sipi_vector = (uint32_t)below(seed, 256),
		.flags = (uint32_t)below(seed, 64),
		.smi_smm = (uint8_t)below(seed, 2),
		.smi_pending = (uint8_t)below(seed, 2),
		.smi_smm_inside_nmi = (uint8_t)below(seed, 2),
		.smi_latched_init = (uint8_t)below(seed, 2),
		.triple_fault_pending = (uint8_t)below(seed, 2),
		.exception_has_payload = (uint8_t)below(seed, 2),
		.exception_payload = next(seed),
	};
}

static void sregs_fill(uint64_t *seed, struct x86_sregs *s)
{
	struct x86_segment *segments[] = { &s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss,
					   &s->tr, &s->ldt };

	for (size_t i = 0; i < countof(segments); i++)
		segment_fill(seed, segments[i]);
	s->gdt = (struct x86_dtable){ next(seed), (uint16_t)next(seed) };
	s->idt = (struct x86_dtable){ next(seed), (uint16_t)next(seed) };
	s->cr0 = next(seed);
	s->cr2 = next(seed);
	s->cr3 = next(seed);
	s->cr4 = next(seed);
	s->cr8 = below(seed, 16);
	s->efer = next(seed);
	s->apic_base = next(seed);
	fill(seed, s->interrupt_bitmap, sizeof s->interrupt_bitmap);
}

static void lists_fill(uint64_t *seed, struct vcpu_x86_64 *v)
{
	v->n_xcrs = 1;
	v->xcrs[0] = (struct x86_xcr){ 0, next(seed) };
	v->n_cpuid = 8 + (uint32_t)below(seed, 8);
	for (uint32_t i = 0; i < v->n_cpuid; i++)
		v->cpuid[i] = (struct x86_cpuid_entry){
			.function = i / 2, .index = i % 2, .flags = i % 2,
			.eax = (uint32_t)next(seed), .ebx = (uint32_t)next(seed),
			.ecx = (uint32_t)next(seed), .edx = (uint32_t)next(seed),
		};
	v->n_msrs = 12 + (uint32_t)below(seed, 8);
	for (uint32_t i = 0; i < v->n_msrs; i++)
		v->msrs[i] = (struct x86_msr){ 0x400 + i * 3, next(seed) };
}

static void vcpu_fill(uint64_t *seed, uint32_t id, uint32_t xsave_len, struct vcpu_x86_64 *v)
{
	v->id.v = id;
	v->mp_state = (uint32_t)below(seed, 5);
	v->tsc_khz = 2000000 + (uint32_t)below(seed, 1000000);
	v->guest_tsc = next(seed);
	fill(seed, &v->regs, sizeof v->regs);
	sregs_fill(seed, &v->sregs);
	fill(seed, v->debugregs.db, sizeof v->debugregs.db);
	v->debugregs.dr6 = (uint32_t)next(seed);
	v->debugregs.dr7 = (uint32_t)next(seed);
	events_fill(seed, &v->events);
	lists_fill(seed, v);
	v->xsave_len = xsave_len;
	fill(seed, v->lapic, sizeof v->lapic);
	fill(seed, v->xsave, xsave_len);
}

static void irqchip_fill(uint64_t *seed, struct irqchip_x86_64 *c)
{
	for (size_t i = 0; i < countof(c->pic); i++)
		c->pic[i] = (struct x86_pic){
			.last_irr = (uint8_t)next(seed), .irr = (uint8_t)next(seed),
			.imr = (uint8_t)next(seed), .isr = (uint8_t)next(seed),
			.priority_add = (uint8_t)below(seed, 8), .irq_base = (uint8_t)next(seed),
			.read_reg_select = (uint8_t)below(seed, 2), .poll = (uint8_t)below(seed, 2),
			.special_mask = (uint8_t)below(seed, 2),
			.init_state = (uint8_t)below(seed, 4),
			.auto_eoi = (uint8_t)below(seed, 2),
			.rotate_on_auto_eoi = (uint8_t)below(seed, 2),
			.special_fully_nested_mode = (uint8_t)below(seed, 2),
			.init4 = (uint8_t)below(seed, 2), .elcr = (uint8_t)next(seed),
			.elcr_mask = (uint8_t)next(seed),
		};
	c->ioapic.base_address = 0xFEC00000;
	c->ioapic.ioregsel = (uint32_t)below(seed, 256);
	c->ioapic.id = (uint32_t)below(seed, 16);
	c->ioapic.irr = (uint32_t)below(seed, 1u << 24);
	fill(seed, c->ioapic.redirection, sizeof c->ioapic.redirection);
	for (size_t i = 0; i < countof(c->pit); i++)
		c->pit[i] = (struct x86_pit_channel){
			.count = (uint32_t)below(seed, 65537),
			.latched_count = (uint16_t)next(seed),
			.count_latched = (uint8_t)below(seed, 4),
			.status_latched = (uint8_t)below(seed, 2), .status = (uint8_t)next(seed),
			.read_state = (uint8_t)below(seed, 5),
			.write_state = (uint8_t)below(seed, 5),
			.write_latch = (uint8_t)next(seed), .rw_mode = (uint8_t)below(seed, 4),
			.mode = (uint8_t)below(seed, 8), .bcd = (uint8_t)below(seed, 2),
			.gate = (uint8_t)below(seed, 2), .count_load_time = (int64_t)next(seed),
		};
	c->pit_flags = (uint32_t)below(seed, 4);
}

static void queue_fill(uint64_t *seed, struct queue_state *q)
{
	q->max_size = 256;
	q->size = (uint16_t)(16u << below(seed, 5));
	q->ready = true;
	q->desc = GPA(0x100000 + below(seed, 64) * 0x1000);
	q->driver = GPA(0x200002 + below(seed, 64) * 0x1000);
	q->device = GPA(0x300004 + below(seed, 64) * 0x1000);
	q->next_used = (uint16_t)next(seed);
	q->next_avail = (uint16_t)(q->next_used + below(seed, q->size));
}

static void config_put(struct device_state *v, size_t at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v->config[at + i] = (uint8_t)(value >> 8 * i);
}

static void disk_fill(uint64_t *seed, struct disk_file *f, const char *path, bool stored,
		      uint64_t size)
{
	strcpy(f->path, path);
	f->stored = stored;
	f->size = size;
	if (stored)
		return;
	f->dev = below(seed, 4096);
	f->ino = next(seed);
	f->mtime_sec = 1700000000;
	f->mtime_nsec = (uint32_t)below(seed, 1000000000);
}

static void layer_fill(uint64_t *seed, struct blk_state *b)
{
	uint32_t clusters;

	b->layer_cluster = 65536;
	disk_fill(seed, &b->layer, "sample.spore.disk2.layer", true, b->capacity.v);
	clusters = (uint32_t)((b->capacity.v + b->layer_cluster - 1) / b->layer_cluster);
	b->layer_map_len = (clusters + 7) / 8;
	b->layer_map = malloc(b->layer_map_len);
	fill(seed, b->layer_map, b->layer_map_len);
	if (clusters % 8 != 0)
		b->layer_map[b->layer_map_len - 1] &= (uint8_t)((1u << clusters % 8) - 1);
}

/* Disk by slot: 0 ro in place, 1 a stored copy, 2 cow with a stored layer, 3 rw in place. */
static void blk_fill(uint64_t *seed, uint32_t slot, struct device_state *v)
{
	static const enum disk_mode modes[] = { DISK_RO, DISK_COW, DISK_COW, DISK_RW };
	struct blk_state *b = &v->blk;
	uint64_t size = MIB(1) + 512 * below(seed, 4096) + slot;

	b->mode = modes[slot % countof(modes)];
	b->capacity = BYTES(size / 512 * 512);
	disk_fill(seed, &b->base, slot == 1 ? "sample.spore.disk1" : "/var/lib/disk.img",
		  slot == 1, size);
	if (slot == 2)
		layer_fill(seed, b);
	v->config_len = 60;
	fill(seed, v->config, v->config_len);
	config_put(v, 0, b->capacity.v / 512, 8);
	config_put(v, 34, v->n_queues, 2);
}

static void device_fill(uint64_t *seed, const struct topo_slot *slot, struct device_state *v)
{
	v->kind = slot->kind;
	v->n_queues = slot->queues;
	v->transport = (struct transport_state){
		.device_features_sel = (uint32_t)below(seed, 2),
		.driver_features_sel = (uint32_t)below(seed, 2),
		.queue_sel = (uint32_t)below(seed, slot->queues),
		.acked_features = UINT64_C(1) << 32 | (uint32_t)next(seed),
		.status = slot->slot.v == 3 ? 3 : 15,
		.interrupt_status = (uint32_t)below(seed, 4),
		.config_generation = (uint32_t)next(seed),
	};
	for (uint32_t q = 0; q < v->n_queues; q++) {
		queue_fill(seed, &v->queues[q]);
		if (v->transport.status != 15)
			v->queues[q] = (struct queue_state){ .max_size = 256 };
	}
	if (v->kind == DEV_BLK)
		blk_fill(seed, slot->slot.v, v);
}

static void serial_fill(uint64_t *seed, struct serial_state *s)
{
	fill(seed, s, sizeof *s);
	s->ier &= 0x0F;
	s->mcr &= 0x1F;
	s->thre_pending &= 1;
	s->rx_len = 5;
	memset(s->rx + s->rx_len, 0, sizeof s->rx - s->rx_len);
}

static void note_fill(uint64_t *seed, struct sample *s)
{
	s->inventory = (struct inventory){
		.xsave_size = 576 + 64 * (uint32_t)below(seed, 32), .n_caps = 3,
		.caps = { 1, 14, 208 }, .tsc_khz = 2600000 + (uint32_t)below(seed, 1000),
		.cpu_vendor = "GenuineIntel", .cpu_model = "A processor (R) @ 2.60GHz",
	};
	s->note = (struct machine_note){
		.name = "sample-1", .kernel = "/boot/vmlinuz-6.1.0", .initrd = "/tmp/initrd \xC3\xA9",
		.cmdline = "console=ttyS0 reboot=t panic=-1", .boot_method = 1,
	};
	s->clock = (struct clock_x86_64){ next(seed) >> 1, next(seed) >> 1, next(seed) >> 1 };
}

void sample_block(uint64_t index, uint8_t ret[RAM_BLOCK])
{
	uint64_t seed = index;

	for (size_t i = 0; i < RAM_BLOCK; i += 8) {
		uint64_t v = next(&seed);

		memcpy(ret + i, &v, sizeof v);
	}
}

bool sample_has_block(const struct sample *s, uint64_t index)
{
	return (s->ram_bits[index / 8] >> index % 8 & 1) != 0;
}

/* A handful of blocks, the first and the last among them. */
static void ram_fill(uint64_t *seed, struct sample *s)
{
	static uint8_t block[RAM_BLOCK];
	uint64_t blocks = geometry_ram_blocks(s->geometry), k = 0;

	s->ram_bits = calloc(1, (size_t)(blocks + 7) / 8);
	s->ram_bits[0] |= 1;
	s->ram_bits[(blocks - 1) / 8] |= (uint8_t)(1u << (blocks - 1) % 8);
	for (int i = 0; i < 3; i++) {
		uint64_t at = below(seed, blocks);

		s->ram_bits[at / 8] |= (uint8_t)(1u << at % 8);
	}
	s->ram_map = (struct ram_map){ .blocks = blocks, .bits = s->ram_bits };
	for (uint64_t i = 0; i < blocks; i++)
		s->ram_map.present += sample_has_block(s, i);
	s->ram_sums = calloc((size_t)s->ram_map.present, sizeof s->ram_sums[0]);
	for (uint64_t i = 0; i < blocks; i++) {
		if (!sample_has_block(s, i))
			continue;
		sample_block(i, block);
		s->ram_sums[k++] = crc64(block, sizeof block);
	}
}

static void parts_point(uint64_t *seed, struct sample *s)
{
	s->parts = (struct image_parts){
		.generation = below(seed, 9), .created_sec = 1700000000,
		.created_nsec = (uint32_t)below(seed, 1000000000), .inventory = &s->inventory,
		.note = &s->note, .vcpus = s->vcpus, .irqchip = &s->irqchip, .clock = &s->clock,
		.devices = s->devices, .serial = &s->serial, .ram_map = &s->ram_map,
		.ram_sums = s->ram_sums,
	};
	fill(seed, s->parts.machine_id, SNAP_ID_LEN);
}

static err_t geometry_make(unsigned kind, const struct geometry **ret_g)
{
	struct shape shape = shapes[kind];
	const struct topology *t;
	err_t e;

	shape.arch = ARCH_X86_64;
	TRY(topology_plan(&shape, NULL, &t));
	e = geometry_plan(t, NULL, ret_g);
	topology_free(t);
	return e;
}

struct sample *sample_new(unsigned kind, uint64_t seed)
{
	struct sample *s = calloc(1, sizeof *s);
	const struct topology *t;

	if (s == NULL || kind >= SAMPLE_KINDS || failed(geometry_make(kind, &s->geometry))) {
		free(s);
		return NULL;
	}
	t = geometry_topology(s->geometry);
	note_fill(&seed, s);
	s->vcpus = calloc(topology_shape(t)->vcpus, sizeof s->vcpus[0]);
	for (uint32_t i = 0; i < topology_shape(t)->vcpus; i++)
		vcpu_fill(&seed, i, s->inventory.xsave_size, &s->vcpus[i]);
	irqchip_fill(&seed, &s->irqchip);
	s->devices = calloc(topology_slots(t) + 1, sizeof s->devices[0]);
	for (uint32_t i = 0; i < topology_slots(t); i++)
		device_fill(&seed, topology_slot(t, i), &s->devices[i]);
	serial_fill(&seed, &s->serial);
	ram_fill(&seed, s);
	parts_point(&seed, s);
	return s;
}

void sample_free(struct sample *s)
{
	for (uint32_t i = 0; i < topology_slots(geometry_topology(s->geometry)); i++)
		device_state_clear(&s->devices[i]);
	geometry_free(s->geometry);
	free(s->vcpus);
	free(s->devices);
	free(s->ram_bits);
	free(s->ram_sums);
	free(s);
}

static err_t put(int fd, const void *bytes, size_t n, uint64_t at)
{
	return pwrite(fd, bytes, n, (off_t)at) == (ssize_t)n ? OK : FAIL_SYS(errno);
}

err_t sample_write(const struct sample *s, const char *path, struct diag *d)
{
	owned_fd fd = { open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) };
	static uint8_t block[RAM_BLOCK];
	owned_heap uint8_t *bytes = NULL;
	foff_t ram;
	size_t len;

	if (fd.raw < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s", path);
	TRY(image_encode(s->geometry, &s->parts, d, &bytes, &len));
	TRY(image_ram_offset(s->geometry, &s->parts, d, &ram));
	TRY(put(fd.raw, bytes, len, 0));
	for (uint64_t i = 0; i < s->ram_map.blocks; i++) {
		if (!sample_has_block(s, i))
			continue;
		sample_block(i, block);
		TRY(put(fd.raw, block, sizeof block, ram.v + i * RAM_BLOCK));
	}
	if (ftruncate(fd.raw, (off_t)(ram.v + geometry_ram(s->geometry).v)) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s", path);
	return OK;
}
