/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test program's own, removed with all that is in it. Files with holes work there. */
#pragma once

#include <stdint.h>

/* cmocka group fixtures: the folder is the working directory in between. It lies in memory
 * (/dev/shm) where that is there, since most tests write much and nothing of it is to last;
 * place_setup_disk takes a disk instead. */
int place_setup(void **state);
int place_setup_disk(void **state);
int place_teardown(void **state);

/* The number of files in the working directory. */
int place_files(void);
/* Removes them. */
void place_clear(void);
/* Bytes that the file takes on its file system; -1 when it is not there. */
int64_t place_blocks(const char *name);
/* Makes a file of that many bytes, of which the guest's pattern fills the first `filled`. */
void place_make_disk(const char *name, uint64_t size, uint64_t seed, uint64_t filled);
