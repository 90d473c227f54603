/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port as Linux's 8250 driver probes and uses it, what happens to it across a freeze,
 * and the ports that end a machine. */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/own.h"
#include "machine/serial/power_ports.h"
#include "machine/serial/serial.h"
#include "wire/sections.h"

enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

struct port {
	fd_t irq;
	struct serial *s;
	uint8_t sent[256];
	size_t n_sent;
};

static void sent(void *ctx, const uint8_t *bytes, size_t n)
{
	struct port *p = ctx;

	assert_true(p->n_sent + n <= sizeof p->sent);
	memcpy(p->sent + p->n_sent, bytes, n);
	p->n_sent += n;
}

static struct serial_wires wires(struct port *p)
{
	return (struct serial_wires){ { p->irq.raw }, sent, p };
}

static int make(void **state)
{
	static struct port p;
	struct serial_wires w;

	memset(&p, 0, sizeof p);
	p.irq.raw = eventfd(0, EFD_NONBLOCK);
	w = wires(&p);
	assert_int_equal(serial_new(&w, &p.s).code, ERR_NONE);
	*state = &p;
	return 0;
}

static int drop(void **state)
{
	struct port *p = *state;

	serial_free(p->s);
	fd_drop(&p->irq);
	return 0;
}

static uint64_t interrupts(struct port *p)
{
	uint64_t n = 0;

	if (read(p->irq.raw, &n, sizeof n) < 0)
		assert_int_equal(errno, EAGAIN);
	return n;
}

/* autoconfig() of drivers/tty/serial/8250/8250_port.c, in its order. */
static void linux_finds_a_16550a(void **state)
{
	struct port *p = *state;
	uint8_t lcr, mcr;

	serial_write(p->s, IER, 0);
	assert_int_equal(serial_read(p->s, IER), 0);
	serial_write(p->s, IER, 0x0F);
	assert_int_equal(serial_read(p->s, IER), 0x0F);
	serial_write(p->s, IER, 0xFF);
	assert_int_equal(serial_read(p->s, IER), 0x0F);
	serial_write(p->s, IER, 0);
	mcr = serial_read(p->s, MCR);
	lcr = serial_read(p->s, LCR);
	serial_write(p->s, MCR, 0x10 | 0x0A); /* loop, OUT2, RTS */
	assert_int_equal(serial_read(p->s, MSR) & 0xF0, 0x90);
	serial_write(p->s, MCR, mcr);
	serial_write(p->s, LCR, 0xBF);
	serial_write(p->s, FCR, 0);
	serial_write(p->s, LCR, 0);
	serial_write(p->s, FCR, 1);
	assert_int_equal(serial_read(p->s, IIR) >> 6, 3);
	serial_write(p->s, SCR, 0xA5);
	assert_int_equal(serial_read(p->s, SCR), 0xA5);
	serial_write(p->s, LCR, lcr);
	assert_int_equal(serial_read(p->s, MSR) & 0xF0, 0xB0);
}

static void the_divisor_is_behind_its_latch(void **state)
{
	struct port *p = *state;

	serial_write(p->s, LCR, 0x83);
	serial_write(p->s, 0, 0x34);
	serial_write(p->s, 1, 0x12);
	assert_int_equal(serial_read(p->s, 0), 0x34);
	assert_int_equal(serial_read(p->s, 1), 0x12);
	serial_write(p->s, LCR, 0x03);
	assert_int_equal(serial_read(p->s, 0), 0);
	assert_int_equal(serial_read(p->s, IER), 0);
	assert_int_equal(p->n_sent, 0);
}

static void polled_output_is_early_printing(void **state)
{
	struct port *p = *state;

	for (const char *c = "early"; *c != '\0'; c++) {
		assert_int_equal(serial_read(p->s, LSR) & 0x60, 0x60);
		serial_write(p->s, THR, (uint8_t)*c);
	}
	assert_int_equal(p->n_sent, 5);
	assert_memory_equal(p->sent, "early", 5);
	assert_int_equal(interrupts(p), 0);
}

/* The test of serial8250_do_startup() for chips that lose this one. */
static void enabling_the_transmit_interrupt_raises_it_each_time(void **state)
{
	struct port *p = *state;

	for (int i = 0; i < 3; i++) {
		serial_write(p->s, IER, 0x02);
		assert_int_equal(interrupts(p), 1);
		assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x02);
		assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x01); /* reading was the answer */
		serial_write(p->s, IER, 0x00);
	}
	serial_write(p->s, IER, 0x02);
	(void)interrupts(p);
	(void)serial_read(p->s, IIR);
	serial_write(p->s, THR, 'x');
	assert_int_equal(interrupts(p), 1);
	assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x02);
}

static void input_arrives_in_order_with_interrupts(void **state)
{
	struct port *p = *state;
	uint8_t bytes[40];

	serial_write(p->s, FCR, 0x81); /* trigger at 8 */
	serial_write(p->s, IER, 0x01);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i + 1);
	assert_int_equal(serial_input(p->s, bytes, 3), 3);
	assert_int_equal(interrupts(p), 1);
	assert_int_equal(serial_read(p->s, IIR), 0xCC); /* below the trigger */
	assert_int_equal(serial_input(p->s, bytes + 3, 37), 37);
	assert_int_equal(serial_read(p->s, IIR), 0xC4);
	(void)interrupts(p);
	for (size_t i = 0; i < sizeof bytes; i++) {
		assert_int_equal(serial_read(p->s, LSR) & 0x01, 1);
		assert_int_equal(serial_read(p->s, RBR), i + 1);
		/* Every time the FIFO was drained and filled again. */
		if (i == 15 || i == 31)
			assert_int_equal(interrupts(p), 1);
	}
	assert_int_equal(serial_read(p->s, LSR) & 0x01, 0);
	assert_int_equal(serial_read(p->s, IIR), 0xC1);
	assert_int_equal(interrupts(p), 0);
}

/* CVE-2020-27174: a host that types faster than the guest reads. */
static void the_input_buffer_is_bounded(void **state)
{
	struct port *p = *state;
	uint8_t bytes[10000];
	size_t took, total = 0;

	memset(bytes, 'y', sizeof bytes);
	do {
		took = serial_input(p->s, bytes, sizeof bytes);
		total += took;
		assert_in_range(total, 16, 8192);
	} while (took != 0);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(serial_read(p->s, RBR), 'y');
	/* Room again, for as much as was read. */
	assert_int_equal(serial_input(p->s, bytes, sizeof bytes), 200);
}

static void without_its_fifo_it_holds_one_byte(void **state)
{
	struct port *p = *state;

	assert_int_equal(serial_input(p->s, (const uint8_t *)"ab", 2), 2);
	assert_int_equal(serial_read(p->s, RBR), 'a');
	assert_int_equal(serial_read(p->s, RBR), 'b');
	assert_int_equal(serial_read(p->s, LSR) & 0x01, 0);
}

static void loop_back_stays_inside_and_can_overrun(void **state)
{
	struct port *p = *state;

	serial_write(p->s, MCR, 0x10);
	serial_write(p->s, IER, 0x04);
	serial_write(p->s, THR, 'l');
	assert_int_equal(serial_read(p->s, LSR) & 0x03, 0x01);
	serial_write(p->s, THR, 'm');
	assert_int_equal(interrupts(p), 1);
	assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x06);
	assert_int_equal(serial_read(p->s, LSR) & 0x03, 0x03);
	assert_int_equal(serial_read(p->s, LSR) & 0x03, 0x01); /* reading cleared it */
	assert_int_equal(serial_read(p->s, RBR), 'l');
	assert_int_equal(p->n_sent, 0);
	/* What the host types meanwhile waits. */
	assert_int_equal(serial_input(p->s, (const uint8_t *)"h", 1), 1);
	assert_int_equal(serial_read(p->s, LSR) & 0x01, 0);
	serial_write(p->s, MCR, 0x00);
	assert_int_equal(serial_read(p->s, RBR), 'h');
}

static void modem_lines_report_their_changes(void **state)
{
	struct port *p = *state;

	(void)serial_read(p->s, MSR);
	serial_write(p->s, IER, 0x08);
	serial_write(p->s, MCR, 0x10 | 0x0F); /* loop with all lines on: only RI appears */
	assert_int_equal(serial_read(p->s, MSR), 0xF0);
	serial_write(p->s, MCR, 0x10 | 0x08);
	assert_true(interrupts(p) >= 1);
	assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x00);
	assert_int_equal(serial_read(p->s, MSR), 0x87); /* CTS, DSR changed, RI went off */
	assert_int_equal(serial_read(p->s, MSR), 0x80);
}

static struct serial *again(struct port *p, const struct serial_state *st)
{
	struct serial_wires w = wires(p);
	struct serial *s = NULL;
	struct diag d = DIAG_INIT;

	assert_int_equal(serial_restore(&w, st, &d, &s).code, ERR_NONE);
	return s;
}

/* Through the file's own bytes. */
static struct serial_state saved(struct port *p)
{
	struct serial_state st, back;
	uint8_t bytes[256];
	struct out o = out_of(bytes, sizeof bytes);
	struct diag d = DIAG_INIT;

	serial_save(p->s, &st);
	serial_state_encode(&o, &st);
	assert_int_equal(out_done(&o).code, ERR_NONE);
	assert_int_equal(serial_state_parse(cur_of(bytes, o.len), &d, &back).code, ERR_NONE);
	return back;
}

static void registers_and_fifo_survive_a_freeze(void **state)
{
	struct port *p = *state;
	struct serial_state st, st2;
	struct serial *s;

	serial_write(p->s, LCR, 0x83);
	serial_write(p->s, 0, 0x0C);
	serial_write(p->s, LCR, 0x1B);
	serial_write(p->s, FCR, 0xC1);
	serial_write(p->s, IER, 0x05);
	serial_write(p->s, MCR, 0x0B);
	serial_write(p->s, SCR, 0x77);
	assert_int_equal(serial_input(p->s, (const uint8_t *)"frozen", 6), 6);
	st = saved(p);
	s = again(p, &st);
	(void)interrupts(p);
	serial_resume(s);
	assert_int_equal(interrupts(p), 1); /* data wait */
	serial_save(s, &st2);
	assert_memory_equal(&st, &st2, sizeof st);
	for (const char *c = "frozen"; *c != '\0'; c++)
		assert_int_equal(serial_read(s, RBR), *c);
	assert_int_equal(serial_read(s, SCR), 0x77);
	assert_int_equal(serial_read(s, LCR), 0x1B);
	serial_free(s);
}

/* A machine frozen between "transmitter empty" being read and the driver acting on it must not
 * wait for it for ever. */
static void a_driver_that_waits_for_the_transmitter_hears_of_it_again(void **state)
{
	struct port *p = *state;
	struct serial_state st;
	struct serial *s;

	serial_write(p->s, IER, 0x02);
	serial_write(p->s, THR, 'x');
	assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x02);
	assert_int_equal(serial_read(p->s, IIR) & 0x0F, 0x01);
	st = saved(p);
	s = again(p, &st);
	(void)interrupts(p);
	serial_resume(s);
	assert_int_equal(interrupts(p), 1);
	assert_int_equal(serial_read(s, IIR) & 0x0F, 0x02);
	/* One that does not wait hears nothing. */
	serial_write(s, IER, 0x01);
	serial_resume(s);
	assert_int_equal(interrupts(p), 0);
	serial_free(s);
}

static void states_that_cannot_be_are_refused(void **state)
{
	struct port *p = *state;
	struct serial_wires w = wires(p);
	static const struct serial_state bad[] = {
		{ .ier = 0x10 }, { .mcr = 0x20 }, { .thre_pending = 2 }, { .fcr = 0x02 },
		{ .fcr = 0x80 }, { .rx_len = 2 }, { .fcr = 0x01, .rx_len = 17 },
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct serial *s = NULL;
		struct diag d = DIAG_INIT;

		assert_int_equal(serial_restore(&w, &bad[i], &d, &s).code, ERR_DEVICE);
		assert_null(s);
		assert_string_equal(d.section, "serial");
	}
}

static void a_guest_ends_its_machine_by_these_writes_only(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		uint8_t b = (uint8_t)v;

		assert_int_equal(power_port_write(0x64, b), b == 0xFE ? POWER_RESET : POWER_NONE);
		assert_int_equal(power_port_write(0x60, b), POWER_NONE);
		assert_int_equal(power_port_write(0x600, b),
				 b == 1 ? POWER_RESET : (b & 0x3C) == 0x34 ? POWER_OFF : POWER_NONE);
		assert_int_equal(power_port_write(0x601, b), POWER_NONE);
	}
}

static void their_ports_read_as_idle(void **state)
{
	uint8_t v;

	(void)state;
	for (unsigned port = 0; port < 65536; port++) {
		bool ours = port == 0x60 || port == 0x64 || port == 0x600;

		v = 0xAA;
		assert_int_equal(power_port_read((uint16_t)port, &v), ours);
		assert_int_equal(v, ours ? 0 : 0xAA);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make, drop)
	static const struct CMUnitTest tests[] = {
		T(linux_finds_a_16550a),
		T(the_divisor_is_behind_its_latch),
		T(polled_output_is_early_printing),
		T(enabling_the_transmit_interrupt_raises_it_each_time),
		T(input_arrives_in_order_with_interrupts),
		T(the_input_buffer_is_bounded),
		T(without_its_fifo_it_holds_one_byte),
		T(loop_back_stays_inside_and_can_overrun),
		T(modem_lines_report_their_changes),
		T(registers_and_fifo_survive_a_freeze),
		T(a_driver_that_waits_for_the_transmitter_hears_of_it_again),
		T(states_that_cannot_be_are_refused),
		cmocka_unit_test(a_guest_ends_its_machine_by_these_writes_only),
		cmocka_unit_test(their_ports_read_as_idle),
	};
#undef T
	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
