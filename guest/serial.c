/* SPDX-License-Identifier: Apache-2.0 */
/* COM1: see serial.h. */
#include "serial.h"

#include "apic.h"
#include "cpu.h"
#include "smp.h"
#include "trap.h"

#define COM1 0x3f8
#define COM1_GSI 4
#define REG_DATA (COM1 + 0)
#define REG_IER (COM1 + 1)
#define REG_FCR (COM1 + 2)
#define REG_LCR (COM1 + 3)
#define REG_MCR (COM1 + 4)
#define REG_LSR (COM1 + 5)
#define IER_RX 0x01
#define FCR_ENABLE 0x07 /* on, both FIFOs cleared */
#define LCR_8N1 0x03
#define MCR_ON 0x0b /* DTR, RTS, OUT2: the interrupt gate of a PC */
#define LSR_RX 0x01
#define LSR_TX_EMPTY 0x20
#define FIFO_DEPTH 16

#define RING_SIZE 1024 /* a power of two */

volatile uint32_t serial_pending;

static char ring[RING_SIZE];
static uint32_t ring_tail;
static bool polled_input;
static bool spent;

void serial_start(void)
{
	port_out8(REG_IER, 0);
	port_out8(REG_LCR, LCR_8N1);
	port_out8(REG_FCR, FCR_ENABLE);
	port_out8(REG_MCR, MCR_ON);
}

static void serial_interrupt(unsigned vector)
{
	(void)vector;
	serial_drain();
}

void serial_listen(bool polled)
{
	polled_input = polled;
	if (polled)
		return;
	trap_handle(VECTOR_GSI(COM1_GSI), serial_interrupt);
	ioapic_route(COM1_GSI, VECTOR_GSI(COM1_GSI));
	port_out8(REG_IER, IER_RX);
}

bool serial_polled(void)
{
	return polled_input;
}

void serial_drain(void)
{
	while ((port_in8(REG_LSR) & LSR_RX) != 0) {
		char c = (char)port_in8(REG_DATA);

		if (serial_pending == RING_SIZE)
			continue;
		ring[(ring_tail + serial_pending) % RING_SIZE] = c;
		serial_pending = serial_pending + 1;
	}
}

char serial_take(void)
{
	char c;

	while (serial_pending == 0) {
		/* Also before sleeping: an edge may have been lost across a restore. */
		serial_drain();
		if (serial_pending != 0)
			break;
		if (polled_input)
			cpu_pause();
		else
			cpu_wait();
	}
	c = ring[ring_tail];
	ring_tail = (ring_tail + 1) % RING_SIZE;
	serial_pending = serial_pending - 1;
	return c;
}

void serial_write(const char *s, size_t n)
{
	while (n > 0) {
		/* One look at the status for each FIFO's worth. */
		size_t part = n < FIFO_DEPTH ? n : FIFO_DEPTH;

		while ((port_in8(REG_LSR) & LSR_TX_EMPTY) == 0)
			cpu_pause();
		n -= part;
		__asm__ volatile("rep outsb" : "+S"(s), "+c"(part) : "d"(REG_DATA) : "memory");
	}
}

void serial_line(const struct reply *r)
{
	serial_write(r->text, r->len);
	serial_write("\n", 1);
}

/*
 * Nobody asks whether there is a byte or room: the interrupt says the first, and
 * a 16550 that has just been read from is not full. An interrupt without a byte
 * reads as NUL, which is no question.
 */
static uint64_t answered;
static bool answering;

static void answer_give(char c)
{
	if (c == '\n')
		answering = false;
	if (c == '\n' || c == '\0')
		return;
	port_out8(REG_DATA, (uint8_t)(c + 1));
	answered++;
}

static void answer_interrupt(unsigned vector)
{
	(void)vector;
	do {
		answer_give((char)port_in8(REG_DATA));
	} while (answering && (port_in8(REG_LSR) & LSR_RX) != 0);
}

uint64_t serial_answer(void)
{
	answered = 0;
	answering = true;
	while (answering && serial_pending != 0)
		answer_give(serial_take());
	trap_handle(VECTOR_GSI(COM1_GSI), answer_interrupt);
	while (answering)
		cpu_wait();
	trap_handle(VECTOR_GSI(COM1_GSI), serial_interrupt);
	return answered;
}

bool serial_stop(void)
{
	if (serial_pending == 0 && polled_input && cpu_this() == cpu_boot())
		serial_drain();
	return serial_pending != 0;
}

void serial_spend(void)
{
	spent = true;
}

void serial_settle(void)
{
	if (spent && serial_pending != 0)
		(void)serial_take();
	spent = false;
}
