/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h: the files that disk.c writes and diskcheck.c checks.  A file is SLOT_COUNT blocks of
 * SLOT_SIZE bytes.  One writer overwrites them round and round, each block with its file, slot
 * and version.  So at any moment a file holds version v in its first blocks and v - 1 in the
 * others: a lost, stale or twice replayed write breaks that.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include <stdint.h>

enum { SLOT_SIZE = 4096, SLOT_COUNT = 64, SLOT_FILES = 4 };

/* Write version of a slot; the file is open with O_DIRECT and synced by the caller. */
void slot_write(int fd, unsigned file, unsigned slot, uint64_t version);
/* Read a slot from the disk; fail unless it is whole and says that it is this slot. */
uint64_t slot_read(int fd, unsigned file, unsigned slot);
int slots_open(const char *folder, unsigned file, int flags);

#endif
