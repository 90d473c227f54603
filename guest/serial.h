/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COM1, a 16550 at port 0x3F8: polled output, input by IRQ 4 (or polled). What
 * has arrived waits in a ring in RAM.
 */
#ifndef TGUEST_SERIAL_H
#define TGUEST_SERIAL_H

#include "text.h"

/*
 * Bytes waiting in the ring. Loops that run "until a byte arrives" watch it
 * from C and assembly; serial_spend says that the one they saw was for them.
 */
extern volatile uint32_t serial_pending;

/* Output only; nothing is received before serial_listen. */
void serial_start(void);
/* After the APICs are set up. With polled, no interrupt is used. */
void serial_listen(bool polled);
bool serial_polled(void);

/* Reads in what the UART holds. Interrupts off. */
void serial_drain(void);
/* Sleeps (or polls) until a byte is there and takes it. Interrupts off. */
char serial_take(void);

void serial_write(const char *s, size_t n);
/* The text of a reply and a line end. */
void serial_line(const struct reply *r);

/*
 * Answers each byte with the next higher one, until a line end comes; tells how
 * many. Two exits for each: its reading, and the answer's writing.
 */
uint64_t serial_answer(void);

/* True once a byte has arrived. For loops in C; polls where it must. */
bool serial_stop(void);
void serial_spend(void);
/* Drops one byte if serial_spend was called since. */
void serial_settle(void);

#endif
