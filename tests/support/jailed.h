/* SPDX-License-Identifier: Apache-2.0 */
/* Processes in jails, for tests: made, made to try something, and what became of them. */
#pragma once

#include "life/nursery.h"
#include "machine/jail/filter.h"

/* What a jailed process does. The number that it returns, below 120, is its exit status. */
typedef int jailed_job(void *ctx);

/* Options that leave nothing out. */
struct jail_options jailed_options(void);
/* Born in a nursery of its own: pid is 0 in the child. Else once it was raised. */
err_t jailed_bear(const struct jail_options *o, struct diag *d, struct born *ret_born);
/* Does a job in a jail and waits for its end: a status as waitpid(2) gives. Fails the test when there
 * is no jail to be had. */
int jailed_run(const struct jail_options *o, jailed_job *job, void *ctx);
/* The same, with a thread's filter taken before the job. */
int jailed_run_filtered(enum jail_thread kind, jailed_job *job, void *ctx);
/* In a process of an ordinary user, in which asserts fail the test as here. As root that is nobody;
 * else whoever runs the test. */
void as_user(void (*job)(void));
/* Skips the test where this host does not allow jails. */
void jails_needed(void);
