/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/devices.h"
#include "machine/irq/irqchip_x86_64.h"
#include "machine/serial/serial.h"
#include "machine/vcpu/vcpu_x86_64.h"
#include "plan/map_x86_64.h"

struct arch_host {
	struct vcpu_host vcpu;
	uint32_t n_given;
	struct cpuid_kept *given; /* one per vCPU: the processor it was given; owned */
	struct vcpu_fresh *fresh; /* of a shell, one per vCPU; owned; NULL: not known */
	uint32_t tsc_khz;    /* that the image had which the processors are like */
};

struct arch_state {
	struct irqchip_x86_64 chip;
	struct clock_x86_64 clock;
	struct vcpu_x86_64 vcpu[];
};

err_t arch_host_new(int kvm, struct diag *d, struct arch_host **ret_host)
{
	owned_heap struct arch_host *h = calloc(1, sizeof *h);

	if (h == NULL)
		return FAIL(ERR_NOMEM);
	TRY(vcpu_host_ask(kvm, d, &h->vcpu));
	*ret_host = take_ptr(h);
	return OK;
}

void arch_host_free(struct arch_host *h)
{
	if (h == NULL)
		return;
	for (uint32_t i = 0; i < h->n_given; i++)
		free(h->given[i].entries);
	free(h->given);
	free(h->fresh);
	free(h);
}

size_t arch_answers_len(void)
{
	return sizeof(struct vcpu_answers);
}

err_t arch_answers_get(int kvm, struct diag *d, void *ret_bytes)
{
	return vcpu_answers_get(kvm, d, ret_bytes);
}

err_t arch_answers_know(struct cur in, struct diag *d)
{
	owned_heap struct vcpu_answers *a = malloc(sizeof *a);
	err_t e;

	if (a == NULL)
		return FAIL(ERR_NOMEM);
	e = cur_left(&in) == sizeof *a ? cur_bytes(&in, a, sizeof *a) : FAIL(ERR_SIZE);
	if (!failed(e))
		e = vcpu_answers_know(a);
	return failed(e) ? diag_fail(d, e, "what KVM offers comes from another build") : OK;
}

static err_t given_alloc(struct vm *vm)
{
	vm->host->given = calloc(vcpus_count(vm->vcpus), sizeof vm->host->given[0]);
	return vm->host->given == NULL ? FAIL(ERR_NOMEM) : OK;
}

/* To the next vCPU. */
static err_t give(struct arch_host *h, const struct x86_cpuid_entry *entries, uint32_t n)
{
	struct cpuid_kept *k = &h->given[h->n_given];

	k->entries = calloc(n + 1, sizeof entries[0]);
	if (k->entries == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(k->entries, entries, n * sizeof entries[0]);
	k->n = n;
	h->n_given++;
	return OK;
}

err_t arch_create_chips(int vm, struct diag *d)
{
	return irqchip_create(vm, d);
}

err_t arch_init_vcpus(struct vm *vm, struct diag *d)
{
	uint32_t n = vcpus_count(vm->vcpus);
	struct cpuid c;

	TRY(given_alloc(vm));
	for (uint32_t i = 0; i < n; i++) {
		TRY(vcpu_init(vcpus_at(vm->vcpus, (vcpu_id){ i }), &vm->host->vcpu, (vcpu_id){ i },
			      n, d, &c));
		TRY(give(vm->host, c.entries, c.n));
	}
	return OK;
}

err_t arch_judge(const struct arch_host *h, const struct image *i, struct diag *d)
{
	for (uint32_t n = 0; n < image_head(i)->vcpus; n++)
		TRY(vcpu_judge(image_vcpu(i, (vcpu_id){ n }), &h->vcpu, d));
	return OK;
}

err_t arch_shape(struct vm *vm, const struct image *i, struct diag *d)
{
	vcpu_host_ask_tsc(vcpus_at(vm->vcpus, (vcpu_id){ 0 }), &vm->host->vcpu);
	TRY(arch_judge(vm->host, i, d));
	TRY(given_alloc(vm));
	for (uint32_t n = 0; n < vcpus_count(vm->vcpus); n++) {
		const struct vcpu_x86_64 *s = image_vcpu(i, (vcpu_id){ n });

		TRY(give(vm->host, s->cpuid, s->n_cpuid));
		TRY(vcpu_shape(vcpus_at(vm->vcpus, (vcpu_id){ n }), s, &vm->host->vcpu, d));
	}
	vm->host->tsc_khz = image_vcpu(i, (vcpu_id){ 0 })->tsc_khz;
	return OK;
}

static err_t cpuid_fits(const struct x86_cpuid_entry *have, uint32_t n, const struct vcpu_x86_64 *s,
			struct diag *d)
{
	if (n != s->n_cpuid)
		return diag_fail(d, FAIL(ERR_CPU_FEATURE), "vCPU %" PRIu32 " has %" PRIu32
				 " CPUID leaves, expected %" PRIu32, s->id.v, s->n_cpuid, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct x86_cpuid_entry *a = &have[i], *b = &s->cpuid[i];

		if (memcmp(a, b, sizeof *a) != 0)
			return diag_fail(d, FAIL(ERR_CPU_FEATURE), "vCPU %" PRIu32 " differs in CPUID "
					 "leaf %#" PRIx32 " (%" PRIu32 ")", s->id.v, b->function,
					 b->index);
	}
	return OK;
}

static err_t tsc_fits(uint32_t have, const struct image *i, struct diag *d)
{
	uint32_t khz = image_vcpu(i, (vcpu_id){ 0 })->tsc_khz;

	if (khz == have)
		return OK;
	return diag_fail(d, FAIL(ERR_CPU_FEATURE), "the TSC runs at %" PRIu32 " kHz, expected %" PRIu32,
			 khz, have);
}

err_t arch_fits(const struct vm *vm, const struct image *i, struct diag *d)
{
	TRY(tsc_fits(vm->host->tsc_khz, i, d));
	for (uint32_t n = 0; n < vcpus_count(vm->vcpus); n++) {
		const struct cpuid_kept *given = &vm->host->given[n];

		TRY(cpuid_fits(given->entries, given->n, image_vcpu(i, (vcpu_id){ n }), d));
	}
	return OK;
}

err_t arch_alike(const struct image *have, const struct image *i, struct diag *d)
{
	TRY(tsc_fits(image_vcpu(have, (vcpu_id){ 0 })->tsc_khz, i, d));
	for (uint32_t n = 0; n < image_head(have)->vcpus; n++) {
		const struct vcpu_x86_64 *a = image_vcpu(have, (vcpu_id){ n });

		TRY(cpuid_fits(a->cpuid, a->n_cpuid, image_vcpu(i, (vcpu_id){ n }), d));
	}
	return OK;
}

err_t arch_warm(struct vm *vm, struct diag *d)
{
	uint32_t n = vcpus_count(vm->vcpus);
	owned_heap struct vcpu_fresh *fresh = calloc(n, sizeof *fresh);

	if (fresh == NULL)
		return FAIL(ERR_NOMEM);
	vcpus_warm(vm->vcpus, vcpus_park(vm->vcpus));
	for (uint32_t i = 0; i < n; i++)
		TRY(vcpu_fresh_read(vcpus_at(vm->vcpus, (vcpu_id){ i }), &vm->host->vcpu, d,
				    &fresh[i]));
	vm->host->fresh = take_ptr(fresh);
	return OK;
}

static const struct vcpu_fresh *fresh_of(const struct vm *vm, uint32_t n)
{
	return vm->host->fresh == NULL ? NULL : &vm->host->fresh[n];
}

err_t arch_load(struct vm *vm, const struct image *i, struct diag *d)
{
	for (uint32_t n = 0; n < vcpus_count(vm->vcpus); n++)
		TRY(vcpu_load(vcpus_at(vm->vcpus, (vcpu_id){ n }), image_vcpu(i, (vcpu_id){ n }),
			      fresh_of(vm, n), d));
	return OK;
}

/* How long the machine was frozen by the wall's clock, if that is to have passed for it. A clock
 * that was set back since is no reason to turn the guest's back. */
static uint64_t frozen_ns(const struct vm *vm, const struct clock_x86_64 *c)
{
	struct timespec now;
	uint64_t ns;

	if (vm->clock == CLOCK_FROZEN)
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	return ns > c->realtime_ns ? ns - c->realtime_ns : 0;
}

static bool tsc_is_scaled(const struct vm *vm)
{
	return vcpu_tsc_is_scaled(&vm->host->vcpu, vm->host->tsc_khz);
}

err_t arch_load_time(struct vm *vm, const struct image *i, struct diag *d)
{
	uint64_t step = frozen_ns(vm, image_clock(i)), tsc_now;

	TRY(tsc_base(vcpus_at(vm->vcpus, (vcpu_id){ 0 }), tsc_is_scaled(vm), d, &tsc_now));
	for (uint32_t n = 0; n < vcpus_count(vm->vcpus); n++) {
		const struct vcpu_x86_64 *s = image_vcpu(i, (vcpu_id){ n });

		/* The TSC starts at what was saved: as if it had been read that much earlier. */
		TRY(vcpu_load_time(vcpus_at(vm->vcpus, (vcpu_id){ n }), s,
				   tsc_now - tsc_cycles(step, s->tsc_khz), fresh_of(vm, n), d));
	}
	free(vm->host->fresh);
	vm->host->fresh = NULL;
	/* The chips last: setting the IOAPIC delivers what is pending in it to the local APICs. */
	TRY(clock_load(vm->fd.raw, image_clock(i), step, d));
	return irqchip_load(vm->fd.raw, image_irqchip(i), d);
}

void arch_notify_paused(struct vm *vm)
{
	for (uint32_t n = 0; n < vcpus_count(vm->vcpus); n++)
		vcpu_notify_paused(vcpus_at(vm->vcpus, (vcpu_id){ n }));
}

err_t arch_save(struct vm *vm, struct quiesced q, struct diag *d, struct arch_state **ret_state)
{
	uint32_t n = vcpus_count(vm->vcpus);
	owned_heap struct arch_state *s = calloc(1, sizeof *s + n * sizeof s->vcpu[0]);
	uint64_t tsc_now;

	if (s == NULL)
		return FAIL(ERR_NOMEM);
	TRY(tsc_base(vcpus_at(vm->vcpus, (vcpu_id){ 0 }), tsc_is_scaled(vm), d, &tsc_now));
	for (uint32_t i = 0; i < n; i++)
		TRY(vcpu_save(vcpus_at(vm->vcpus, (vcpu_id){ i }), q, &vm->host->vcpu,
			      &vm->host->given[i], (vcpu_id){ i }, tsc_now, d, &s->vcpu[i]));
	TRY(irqchip_save(vm->fd.raw, q, d, &s->chip, &s->clock));
	*ret_state = take_ptr(s);
	return OK;
}

void arch_state_free(struct arch_state *s)
{
	free(s);
}

static void host_processor(const struct vcpu_host *h, struct inventory *v)
{
	uint32_t text[12];

	for (uint32_t i = 0; i < h->offer->cpuid.n; i++) {
		const struct x86_cpuid_entry *e = &h->offer->cpuid.entries[i];
		uint32_t part = e->function - 0x80000002;

		if (e->function == 0) {
			text[0] = e->ebx;
			text[1] = e->edx;
			text[2] = e->ecx;
			memcpy(v->cpu_vendor, text, 12);
		} else if (part < 3) {
			text[0] = e->eax;
			text[1] = e->ebx;
			text[2] = e->ecx;
			text[3] = e->edx;
			memcpy(v->cpu_model + 16 * part, text, 16);
		}
	}
}

/* The processor's names end at the first byte that is no printable character. */
static void tidy(char *text)
{
	size_t n = 0, end = 0;

	for (; text[n] >= ' ' && text[n] <= '~'; n++) {
		if (text[n] != ' ')
			end = n + 1;
	}
	memset(text + end, 0, strlen(text + end));
}

static void encode_inventory(const struct vm *vm, struct out *o)
{
	struct inventory v = { .xsave_size = vm->host->vcpu.offer->xsave_size,
			       .tsc_khz = vcpu_tsc_khz(vcpus_at(vm->vcpus, (vcpu_id){ 0 })) };
	size_t n;
	const struct kvm_cap_name *caps = kvm_needed_caps(&n);

	for (size_t i = 0; i < n; i++)
		v.caps[v.n_caps++] = caps[i].cap;
	host_processor(&vm->host->vcpu, &v);
	tidy(v.cpu_vendor);
	tidy(v.cpu_model);
	inventory_encode(o, &v);
}

/* Byte-wide devices answer each byte of a wider access as its neighbour would; only the serial
 * port has neighbours that mean anything. */
static uint8_t port_in(struct vm *vm, uint16_t port)
{
	uint8_t value;

	if (port >= PORT_SERIAL && port < PORT_SERIAL + SERIAL_REGISTERS)
		return devices_serial_read(vm->devices, port - PORT_SERIAL);
	return power_port_read(port, &value) ? value : 0xFF;
}

static bool port_out(struct vm *vm, uint16_t port, uint8_t value)
{
	if (port >= PORT_SERIAL && port < PORT_SERIAL + SERIAL_REGISTERS) {
		devices_serial_write(vm->devices, port - PORT_SERIAL, value);
		return true;
	}
	switch (power_port_write(port, value)) {
	case POWER_NONE:
		return true;
	case POWER_OFF:
		vm_end(vm, VM_POWEROFF, "%s", "");
		return false;
	case POWER_RESET:
		vm_end(vm, VM_RESET, "%s", "");
		return false;
	}
	unreachable_by_type();
}

bool arch_exit(struct vm *vm, const struct vcpu_exit *exit)
{
	for (uint32_t i = 0; i < exit->arch.count; i++) {
		uint8_t *data = exit->data + (size_t)i * exit->len;

		for (uint32_t b = 0; b < exit->len; b++) {
			uint16_t port = (uint16_t)(exit->arch.port + b);

			if (exit->kind == EXIT_PORT_IN)
				data[b] = port_in(vm, port);
			else if (!port_out(vm, port, data[b]))
				return false;
		}
	}
	return true;
}

void arch_encode(const struct vm *vm, const struct arch_state *s, struct snap_row_id id,
		 struct out *o)
{
	if (id.kind == SECT_VCPU)
		vcpu_x86_64_encode(o, &s->vcpu[id.index]);
	else if (id.kind == SECT_IRQCHIP)
		irqchip_x86_64_encode(o, &s->chip);
	else if (id.kind == SECT_CLOCK)
		clock_x86_64_encode(o, &s->clock);
	else
		encode_inventory(vm, o);
}

static err_t encode_blank_vcpu(const struct vcpu_x86_64 *like, struct out *o)
{
	owned_heap struct vcpu_x86_64 *v = calloc(1, sizeof *v);

	if (v == NULL)
		return FAIL(ERR_NOMEM);
	v->id = like->id;
	v->tsc_khz = like->tsc_khz;
	v->xsave_len = like->xsave_len;
	v->n_cpuid = like->n_cpuid;
	memcpy(v->cpuid, like->cpuid, like->n_cpuid * sizeof like->cpuid[0]);
	vcpu_x86_64_encode(o, v);
	return OK;
}

err_t arch_encode_blank(const struct image *like, struct snap_row_id id, struct out *o)
{
	const struct irqchip_x86_64 chip = { .ioapic.base_address = MAP_IOAPIC };
	const struct clock_x86_64 clock = { 0 };

	if (id.kind == SECT_VCPU)
		return encode_blank_vcpu(image_vcpu(like, (vcpu_id){ id.index }), o);
	if (id.kind == SECT_IRQCHIP)
		irqchip_x86_64_encode(o, &chip);
	else if (id.kind == SECT_CLOCK)
		clock_x86_64_encode(o, &clock);
	else
		inventory_encode(o, image_inventory(like));
	return OK;
}
