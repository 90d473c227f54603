/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prop.h: what the property programs share.  Each sets state, says so, stays in that state while
 * the machine may be frozen, is told to go on, checks, and says "NAME: ok ..." or
 * "NAME: FAIL why".  Told to spoil instead, it first damages what it holds, so that a check that
 * cannot fail shows itself.
 *
 * Orders come through a page of a shared file, /run/NAME.order, that init writes one line into: a
 * program can watch it from a loop without a system call.
 */
#ifndef PROP_H
#define PROP_H

#include <stdbool.h>
#include <stdint.h>

#define PROP_TABLE(X) \
	X(regs) X(memory) X(clock) X(sleep) X(timer) X(irq) X(tree) X(file) X(disk) X(diskcheck) \
	X(urandom)

#define X(name) int name##_main(int argc, char **argv);
PROP_TABLE(X)
#undef X

enum { PROP_ORDER_MAX = 80, PROP_PATIENCE_S = 60 };

/* One line on the console, in one write, so that lines of different programs do not mix. */
__attribute__((format(printf, 1, 2))) void prop_say(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void prop_ok(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void prop_fail(const char *format, ...);

/* The order page: its first byte is not 0 once there is an order. */
const volatile char *prop_order_page(void);

/* Sleep until there is an order, copy it without its newline, and clear the page. */
void prop_order(char ret_order[PROP_ORDER_MAX]);

/* Sleep until told to go on; true when told to spoil the state first. */
bool prop_told_to_spoil(void);

/* argv[1], or fallback when it is not given. */
unsigned long prop_number(int argc, char **argv, unsigned long fallback);

unsigned prop_cpus(void);
void prop_pin(unsigned cpu);
uint64_t prop_now_ns(int clock);
void prop_pause_ms(unsigned ms);
/* The index-th number of a fixed sequence without pattern. */
uint64_t prop_pattern(uint64_t index);

/* Fail with the call's name and errno unless the call's result is ok. */
#define PROP_NEED(call) ((call) ? (void)0 : prop_fail_errno(#call))
_Noreturn void prop_fail_errno(const char *call);

#endif
