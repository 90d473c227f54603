/* SPDX-License-Identifier: Apache-2.0 */
/* Machines in this process that run the test guest, driven through life/: booted, frozen into
 * zygotes, spawned. As tguest.h, which does it through spore.h; a failure fails the running test, and
 * no test decides anything by how long something took. */
#pragma once

#include "life/snapshot.h"
#include "life/spawn.h"
#include "plan/config.h"
#include "support/test.h"

struct kin;

/* One CPU, 32 MiB, no disk; and the same with disk.img, which must be there. */
struct request kin_request(void);
struct request kin_request_disk(enum disk_mode mode);

/* Booted, its ready line read. */
struct kin *kin_boot(const struct request *r);
/* Paused. */
struct kin *kin_restore(const char *path);
struct kin *kin_spawn(struct zygote *z, const struct identity *id);
struct kin *kin_spawn_in(vm_shell **shell, struct zygote *z, const struct identity *id);
/* The children of a zygote, running, cold or in a shell. */
struct kin *kin_child(struct zygote *z);
struct kin *kin_child_in_shell(struct zygote *z);
void kin_free(struct kin *k); /* accepts NULL */

void kin_pause(struct kin *k);
void kin_resume(struct kin *k);
vm_paused *kin_paused(struct kin *k);
void kin_snapshot(struct kin *k, const char *path);
/* A machine that runs or is paused becomes a zygote, and is gone. */
struct zygote *kin_freeze(struct kin *k);
struct zygote *zygote_of_file(const char *path);
vm_shell *shell_like(const struct zygote *z);

/* Of a running machine: what it says next, an answer that must be "ok", a question and that. */
const char *kin_line(struct kin *k);
const char *kin_answer(struct kin *k);
__attribute__((format(printf, 2, 3))) void kin_tell(struct kin *k, const char *line, ...);
__attribute__((format(printf, 2, 3))) const char *kin_ask(struct kin *k, const char *line, ...);
/* Until it ends by an error, which is given. */
struct diag kin_breaks(struct kin *k);
/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);
