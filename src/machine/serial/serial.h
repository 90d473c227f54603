/* SPDX-License-Identifier: Apache-2.0 */
/* A 16550A serial port (National Semiconductor PC16550D data sheet), enough for Linux's 8250
 * driver and for early printing by polling. Transmission takes no time: the transmitter is always
 * empty. Reception has the chip's FIFO and a bounded buffer in front of it. */
#pragma once

#include "base/err.h"
#include "machine/irq/irq_line.h"
#include "wire/device_state.h"

struct serial;

struct serial_wires {
	struct irq_line irq;
	/* What the guest sent, on the vCPU's thread that sent it. Must not block for long, and must
	 * not call back into this port. */
	void (*output)(void *ctx, const uint8_t *bytes, size_t n);
	void *ctx;
};

must_check err_t serial_new(const struct serial_wires *w, struct serial **ret_serial);
/* ERR_DEVICE for registers that the chip could not hold. Silent until serial_resume. */
must_check err_t serial_restore(const struct serial_wires *w, const struct serial_state *saved,
				struct diag *d, struct serial **ret_serial);
void serial_free(struct serial *s); /* accepts NULL */

/* Registers 0 to 7, one byte each. Any vCPU's thread. */
enum { SERIAL_REGISTERS = 8 };
uint8_t serial_read(struct serial *s, unsigned reg);
void serial_write(struct serial *s, unsigned reg, uint8_t value);

/* Bytes for the guest: takes as many as there is room for and returns how many. Any thread. */
size_t serial_input(struct serial *s, const uint8_t *bytes, size_t n);

/* The vCPUs have stopped. Bytes that wait in front of the FIFO belong to this process and are not
 * saved. */
void serial_save(struct serial *s, struct serial_state *ret);
/* Before the vCPUs run, after a restore or a pause: raises the interrupt again if a cause is
 * pending, and reports the transmitter empty once more to a driver that waits for it: the edge that
 * said so may have been lost on the way. */
void serial_resume(struct serial *s);
