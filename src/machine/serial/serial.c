/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A's registers. Trusts nothing that is written to them.
 *
 * The line is an edge, so "pending" has to be announced each time a cause appears, not only when
 * the first does: announce() is called at every such place. */
#include "machine/serial/serial.h"

#include <pthread.h>
#include <string.h>

#include "base/heap.h"

enum {
	REG_DATA = 0, REG_IER = 1, REG_IIR_FCR = 2, REG_LCR = 3,
	REG_MCR = 4, REG_LSR = 5, REG_MSR = 6, REG_SCR = 7,

	IER_RX = 0x01, IER_TX = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08, IER_MASK = 0x0F,

	IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_TX = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06,
	IIR_RX_TIMEOUT = 0x0C, IIR_FIFO = 0xC0,

	FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_KEEP = 0xC9, FCR_TRIGGER_SHIFT = 6,

	LCR_DLAB = 0x80,

	MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
	MCR_MASK = 0x1F,

	LSR_DATA = 0x01, LSR_OVERRUN = 0x02, LSR_THR_EMPTY = 0x20, LSR_IDLE = 0x40,
	LSR_ERRORS = 0x1E,

	MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_DELTAS = 0x0F,
	MSR_RI_WENT_OFF = 0x04,

	BACKLOG = 4096, /* bytes that the host may be ahead of the guest */
};

struct serial {
	struct serial_wires wires;
	pthread_mutex_t lock; /* of everything below; not held while output is called */
	struct serial_state r;
	uint8_t backlog[BACKLOG];
	size_t first, waiting; /* a ring */
};

static size_t fifo_size(const struct serial *s)
{
	return (s->r.fcr & FCR_ENABLE) != 0 ? SERIAL_FIFO : 1;
}

static size_t fifo_trigger(const struct serial *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return (s->r.fcr & FCR_ENABLE) != 0 ? levels[s->r.fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/* The cause of highest priority. Data below the trigger level count as timed out at once, so that
 * nobody has to measure time. */
static uint8_t cause(const struct serial *s)
{
	if ((s->r.ier & IER_LINE) != 0 && (s->r.lsr & LSR_ERRORS) != 0)
		return IIR_LINE;
	if ((s->r.ier & IER_RX) != 0 && s->r.rx_len != 0)
		return s->r.rx_len >= fifo_trigger(s) ? IIR_RX : IIR_RX_TIMEOUT;
	if ((s->r.ier & IER_TX) != 0 && s->r.thre_pending != 0)
		return IIR_TX;
	if ((s->r.ier & IER_MODEM) != 0 && (s->r.msr & MSR_DELTAS) != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

static uint8_t iir(const struct serial *s)
{
	return (uint8_t)(cause(s) | ((s->r.fcr & FCR_ENABLE) != 0 ? IIR_FIFO : 0));
}

static void announce(const struct serial *s)
{
	if (cause(s) != IIR_NONE)
		irq_raise(s->wires.irq);
}

static uint8_t lsr(const struct serial *s)
{
	return (uint8_t)((s->r.lsr & LSR_ERRORS) | LSR_THR_EMPTY | LSR_IDLE |
			 (s->r.rx_len != 0 ? LSR_DATA : 0));
}

/* The other side is always ready; in loop-back the outputs are the inputs. */
static uint8_t modem_lines(uint8_t mcr)
{
	if ((mcr & MCR_LOOP) == 0)
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uint8_t)(((mcr & MCR_RTS) != 0 ? MSR_CTS : 0) |
			 ((mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
			 ((mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
			 ((mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
}

static void msr_update(struct serial *s)
{
	uint8_t old = s->r.msr & (uint8_t)~MSR_DELTAS, now = modem_lines(s->r.mcr);
	uint8_t changed = (uint8_t)((old ^ now) >> 4);

	/* The ring indicator reports its trailing edge only. */
	if ((now & MSR_RI) != 0)
		changed &= (uint8_t)~MSR_RI_WENT_OFF;
	s->r.msr = (uint8_t)(now | (s->r.msr & MSR_DELTAS) | changed);
	if (changed != 0)
		announce(s);
}

static void fifo_put(struct serial *s, uint8_t byte)
{
	if (s->r.rx_len == fifo_size(s))
		s->r.lsr |= LSR_OVERRUN;
	else
		s->r.rx[s->r.rx_len++] = byte;
}

/* Moves what waits into the FIFO as far as it goes; not in loop-back, when the line is cut. */
static void refill(struct serial *s)
{
	bool moved = false;

	if ((s->r.mcr & MCR_LOOP) != 0)
		return;
	while (s->waiting != 0 && s->r.rx_len < fifo_size(s)) {
		fifo_put(s, s->backlog[s->first]);
		s->first = (s->first + 1) % BACKLOG;
		s->waiting--;
		moved = true;
	}
	if (moved)
		announce(s);
}

static uint8_t fifo_get(struct serial *s)
{
	uint8_t byte = s->r.rx[0];

	if (s->r.rx_len == 0)
		return 0;
	s->r.rx_len--;
	memmove(s->r.rx, s->r.rx + 1, s->r.rx_len);
	s->r.rx[s->r.rx_len] = 0;
	/* Refilled when drained, as a sender does that waits for room: one interrupt per FIFO and
	 * not per byte. */
	if (s->r.rx_len == 0)
		refill(s);
	return byte;
}

static void fifo_clear(struct serial *s)
{
	s->r.rx_len = 0;
	memset(s->r.rx, 0, sizeof s->r.rx);
}

static uint8_t register_read(struct serial *s, unsigned reg)
{
	uint8_t v;

	switch (reg) {
	case REG_DATA:
		return (s->r.lcr & LCR_DLAB) != 0 ? s->r.dll : fifo_get(s);
	case REG_IER:
		return (s->r.lcr & LCR_DLAB) != 0 ? s->r.dlm : s->r.ier;
	case REG_IIR_FCR:
		v = iir(s);
		if (cause(s) == IIR_TX)
			s->r.thre_pending = 0;
		return v;
	case REG_LCR:
		return s->r.lcr;
	case REG_MCR:
		return s->r.mcr;
	case REG_LSR:
		v = lsr(s);
		s->r.lsr &= (uint8_t)~LSR_ERRORS;
		return v;
	case REG_MSR:
		v = s->r.msr;
		s->r.msr &= (uint8_t)~MSR_DELTAS;
		return v;
	case REG_SCR:
		return s->r.scr;
	default:
		return 0xFF;
	}
}

/* An interrupt that becomes enabled while its cause is there is raised at once; for the
 * transmitter that is how a driver starts to send. */
static void ier_write(struct serial *s, uint8_t value)
{
	uint8_t fresh = (uint8_t)(value & IER_MASK & ~s->r.ier);

	s->r.ier = value & IER_MASK;
	if ((fresh & IER_TX) != 0)
		s->r.thre_pending = 1;
	if (fresh != 0)
		announce(s);
}

static void fcr_write(struct serial *s, uint8_t value)
{
	if (((value ^ s->r.fcr) & FCR_ENABLE) != 0 || (value & FCR_CLEAR_RX) != 0)
		fifo_clear(s);
	/* The other bits can only be set together with the enable bit. */
	s->r.fcr = (value & FCR_ENABLE) != 0 ? value & FCR_KEEP : 0;
	refill(s);
}

static void register_write(struct serial *s, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REG_DATA:
		s->r.dll = value;
		break;
	case REG_IER:
		if ((s->r.lcr & LCR_DLAB) != 0)
			s->r.dlm = value;
		else
			ier_write(s, value);
		break;
	case REG_IIR_FCR:
		fcr_write(s, value);
		break;
	case REG_LCR:
		s->r.lcr = value;
		break;
	case REG_MCR:
		s->r.mcr = value & MCR_MASK;
		msr_update(s);
		refill(s);
		break;
	case REG_SCR:
		s->r.scr = value;
		break;
	default: /* line and modem status cannot be written */
		break;
	}
}

/* A byte to send: out to the host, or back in. Called and left with the lock held; the host's
 * callback runs without it, so that input is not held up by a slow terminal. */
static void transmit(struct serial *s, uint8_t byte)
{
	if ((s->r.mcr & MCR_LOOP) != 0) {
		fifo_put(s, byte);
	} else {
		pthread_mutex_unlock(&s->lock);
		s->wires.output(s->wires.ctx, &byte, 1);
		pthread_mutex_lock(&s->lock);
	}
	s->r.thre_pending = 1;
	announce(s);
}

uint8_t serial_read(struct serial *s, unsigned reg)
{
	uint8_t v;

	pthread_mutex_lock(&s->lock);
	v = register_read(s, reg);
	pthread_mutex_unlock(&s->lock);
	return v;
}

void serial_write(struct serial *s, unsigned reg, uint8_t value)
{
	pthread_mutex_lock(&s->lock);
	if (reg == REG_DATA && (s->r.lcr & LCR_DLAB) == 0)
		transmit(s, value);
	else
		register_write(s, reg, value);
	pthread_mutex_unlock(&s->lock);
}

size_t serial_input(struct serial *s, const uint8_t *bytes, size_t n)
{
	size_t took = 0;

	pthread_mutex_lock(&s->lock);
	for (; took < n && s->waiting < BACKLOG; took++, s->waiting++)
		s->backlog[(s->first + s->waiting) % BACKLOG] = bytes[took];
	refill(s);
	pthread_mutex_unlock(&s->lock);
	return took;
}

void serial_save(struct serial *s, struct serial_state *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->r;
	ret->iir = iir(s);
	ret->lsr = lsr(s);
	pthread_mutex_unlock(&s->lock);
}

void serial_resume(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	if ((s->r.ier & IER_TX) != 0)
		s->r.thre_pending = 1;
	announce(s);
	pthread_mutex_unlock(&s->lock);
}

static err_t state_check(const struct serial_state *v, struct diag *d)
{
	if ((v->ier & ~IER_MASK) != 0 || (v->mcr & ~MCR_MASK) != 0 || v->thre_pending > 1)
		return diag_field(d, FAIL(ERR_DEVICE), "serial", "ier",
				  "ier, mcr or thre_pending has bits that do not exist");
	if ((v->fcr & ~FCR_KEEP) != 0 || ((v->fcr & FCR_ENABLE) == 0 && v->fcr != 0))
		return diag_field(d, FAIL(ERR_DEVICE), "serial", "fcr",
				  "0x%02x cannot be held", v->fcr);
	if (v->rx_len > ((v->fcr & FCR_ENABLE) != 0 ? SERIAL_FIFO : 1))
		return diag_field(d, FAIL(ERR_DEVICE), "serial", "rx_len",
				  "%u bytes do not fit the FIFO", v->rx_len);
	return OK;
}

static err_t serial_make(const struct serial_wires *w, const struct serial_state *r,
			 struct serial **ret_serial)
{
	struct serial *s = calloc(1, sizeof *s);

	if (s == NULL)
		return FAIL(ERR_NOMEM);
	s->wires = *w;
	s->r = *r;
	s->r.lsr &= LSR_ERRORS;
	(void)pthread_mutex_init(&s->lock, NULL);
	*ret_serial = s;
	return OK;
}

err_t serial_new(const struct serial_wires *w, struct serial **ret_serial)
{
	/* After a reset (data sheet, table II): 8 data bits is what firmware would have left, and
	 * the divisor of 115200 baud. */
	struct serial_state r = { .lcr = 0x03, .mcr = MCR_OUT2, .dll = 1 };

	r.msr = modem_lines(r.mcr);
	return serial_make(w, &r, ret_serial);
}

err_t serial_restore(const struct serial_wires *w, const struct serial_state *saved,
		     struct diag *d, struct serial **ret_serial)
{
	TRY(state_check(saved, d));
	return serial_make(w, saved, ret_serial);
}

void serial_free(struct serial *s)
{
	if (s == NULL)
		return;
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}
