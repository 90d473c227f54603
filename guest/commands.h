/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands. Each takes the rest of its line and a reply to add " key=value"
 * to; NULL means it went well, USAGE that its arguments are wrong, anything else
 * is the fault as a sentence.
 */
#ifndef TGUEST_COMMANDS_H
#define TGUEST_COMMANDS_H

#include "text.h"

typedef const char *(*command_fn)(struct args *a, struct reply *r);

extern const char USAGE[];

/* Runs the commands of a line, separated by `;`, and prints an answer for each. */
void commands_run(char *line);

const char *cmd_answer(struct args *a, struct reply *r);
const char *cmd_beat(struct args *a, struct reply *r);
const char *cmd_blk(struct args *a, struct reply *r);
const char *cmd_check(struct args *a, struct reply *r);
const char *cmd_churn(struct args *a, struct reply *r);
const char *cmd_cpuid(struct args *a, struct reply *r);
const char *cmd_cpus(struct args *a, struct reply *r);
const char *cmd_fill(struct args *a, struct reply *r);
const char *cmd_gsi(struct args *a, struct reply *r);
const char *cmd_hash(struct args *a, struct reply *r);
const char *cmd_ipi(struct args *a, struct reply *r);
const char *cmd_irq(struct args *a, struct reply *r);
const char *cmd_kvmclock(struct args *a, struct reply *r);
const char *cmd_mem(struct args *a, struct reply *r);
const char *cmd_msr(struct args *a, struct reply *r);
const char *cmd_nonce(struct args *a, struct reply *r);
const char *cmd_peek(struct args *a, struct reply *r);
const char *cmd_pit(struct args *a, struct reply *r);
const char *cmd_poke(struct args *a, struct reply *r);
const char *cmd_regs(struct args *a, struct reply *r);
const char *cmd_rng(struct args *a, struct reply *r);
const char *cmd_scatter(struct args *a, struct reply *r);
const char *cmd_secret(struct args *a, struct reply *r);
const char *cmd_sleep(struct args *a, struct reply *r);
const char *cmd_spin(struct args *a, struct reply *r);
const char *cmd_storm(struct args *a, struct reply *r);
const char *cmd_ticks(struct args *a, struct reply *r);
const char *cmd_touch(struct args *a, struct reply *r);
const char *cmd_tsc(struct args *a, struct reply *r);
const char *cmd_user(struct args *a, struct reply *r);
const char *cmd_virtio(struct args *a, struct reply *r);
const char *cmd_vmgenid(struct args *a, struct reply *r);
const char *cmd_walk(struct args *a, struct reply *r);
const char *cmd_zero(struct args *a, struct reply *r);

#endif
