/* SPDX-License-Identifier: Apache-2.0 */
/* `virtio`: what is there, how to drive it, and every register by hand. */
#include "commands.h"
#include "cpu.h"
#include "evil.h"
#include "virtio.h"

#define SEGS_MAX 16

static const char *virtio_list(struct args *a, struct reply *r)
{
	static const char digits[] = "0123456789";

	(void)a;
	for (unsigned i = 0; i < VIRTIO_SLOTS; i++) {
		char key[3] = { 0 };
		struct virtio *v = virtio_slot(i, 0);

		if (v == NULL || virtio_read(v, REG_MAGIC) != 0x74726976 ||
		    virtio_read(v, REG_DEVICE_ID) == 0)
			continue;
		key[0] = digits[i >= 10 ? i / 10 : i];
		if (i >= 10)
			key[1] = digits[i % 10];
		reply_dec(r, key, virtio_read(v, REG_DEVICE_ID));
	}
	return NULL;
}

/* KEY=VALUE..., or nothing to see them. */
static const char *virtio_opt(struct args *a, struct reply *r)
{
	struct virtio_options o = virtio_options;
	const struct {
		const char *key;
		uint64_t *value;
		uint64_t min, max;
	} options[] = {
		{ "irq=", &o.irq, 0, 1 },
		{ "eventidx=", &o.eventidx, 0, 1 },
		{ "size=", &o.size, 1, VIRTQ_SIZE },
		{ "queues=", &o.queues, 1, VIRTIO_QUEUES },
		{ "segs=", &o.segs, 1, SEGS_MAX },
	};
	const char *word;

	while ((word = args_word(a)) != NULL) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			const char *value = text_after(word, options[i].key);

			if (value == NULL)
				continue;
			known = text_number(value, options[i].value) &&
				*options[i].value >= options[i].min &&
				*options[i].value <= options[i].max;
		}
		if (!known)
			return USAGE;
	}
	virtio_options = o;
	reply_dec(r, "irq", o.irq);
	reply_dec(r, "eventidx", o.eventidx);
	reply_dec(r, "size", o.size);
	reply_dec(r, "queues", o.queues);
	reply_dec(r, "segs", o.segs);
	return NULL;
}

static const char *virtio_show(struct args *a, struct reply *r)
{
	struct virtio *v;
	uint64_t slot;

	if (!args_number(a, &slot) || (v = virtio_slot(slot, 0)) == NULL)
		return USAGE;
	reply_dec(r, "id", virtio_read(v, REG_DEVICE_ID));
	reply_hex(r, "status", virtio_read(v, REG_STATUS));
	reply_hex(r, "isr", virtio_read(v, REG_INTERRUPT_STATUS));
	reply_dec(r, "open", v->open);
	reply_hex(r, "features", v->features);
	reply_dec(r, "eventidx", v->event_idx);
	reply_dec(r, "queues", v->queues);
	reply_dec(r, "irqs", v->queue_irqs);
	reply_dec(r, "configirqs", v->config_irqs);
	return NULL;
}

static uint64_t raw_read(uint64_t at, char width)
{
	switch (width) {
	case '1':
		return mmio_read8(at);
	case '2':
		return mmio_read16(at);
	case '4':
		return mmio_read32(at);
	}
	return mmio_read64(at);
}

static void raw_write(uint64_t at, char width, uint64_t value)
{
	switch (width) {
	case '1':
		mmio_write8(at, (uint8_t)value);
		return;
	case '2':
		mmio_write16(at, (uint16_t)value);
		return;
	case '4':
		mmio_write32(at, (uint32_t)value);
		return;
	}
	mmio_write64(at, value);
}

static bool width_valid(char c)
{
	return c == '1' || c == '2' || c == '4' || c == '8';
}

/* SLOT r1|r2|r4|r8 OFFSET, or SLOT w1|w2|w4|w8 OFFSET VALUE */
static const char *virtio_raw(struct args *a, struct reply *r)
{
	uint64_t slot, offset, value;
	const char *what;
	struct virtio *v;

	if (!args_number(a, &slot) || (v = virtio_slot(slot, 0)) == NULL ||
	    (what = args_word(a)) == NULL || !args_number(a, &offset))
		return USAGE;
	if (!width_valid(what[0] == '\0' ? '\0' : what[1]) || what[2] != '\0')
		return USAGE;
	if (what[0] == 'r') {
		reply_hex(r, "value", raw_read(v->base + offset, what[1]));
		return NULL;
	}
	if (what[0] != 'w' || !args_number(a, &value))
		return USAGE;
	raw_write(v->base + offset, what[1], value);
	return NULL;
}

const char *cmd_virtio(struct args *a, struct reply *r)
{
	const char *what = args_word(a);

	if (what == NULL)
		return USAGE;
	if (text_equal(what, "list"))
		return virtio_list(a, r);
	if (text_equal(what, "opt"))
		return virtio_opt(a, r);
	if (text_equal(what, "show"))
		return virtio_show(a, r);
	if (text_equal(what, "raw"))
		return virtio_raw(a, r);
	if (text_equal(what, "evil"))
		return evil_run(a, r);
	return USAGE;
}
