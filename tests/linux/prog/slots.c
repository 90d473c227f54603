/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c: see slots.h. */
#include "slots.h"
#include "prop.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { WORDS = SLOT_SIZE / 8 };

/* Every word of a block depends on what the block is, so a torn write shows. */
static uint64_t word_of(unsigned file, unsigned slot, uint64_t version, unsigned i)
{
	return prop_pattern(((uint64_t)file << 56 | (uint64_t)slot << 40) + version * WORDS + i);
}

void slot_write(int fd, unsigned file, unsigned slot, uint64_t version)
{
	_Alignas(SLOT_SIZE) uint64_t block[WORDS] = { version };
	for (unsigned i = 1; i < WORDS; i++)
		block[i] = word_of(file, slot, version, i);
	PROP_NEED(pwrite(fd, block, SLOT_SIZE, (off_t)slot * SLOT_SIZE) == SLOT_SIZE);
}

uint64_t slot_read(int fd, unsigned file, unsigned slot)
{
	_Alignas(SLOT_SIZE) uint64_t block[WORDS];
	PROP_NEED(pread(fd, block, SLOT_SIZE, (off_t)slot * SLOT_SIZE) == SLOT_SIZE);
	for (unsigned i = 1; i < WORDS; i++)
		if (block[i] != word_of(file, slot, block[0], i))
			prop_fail("file %u slot %u version %lu: word %u is wrong", file, slot,
				  block[0], i);
	return block[0];
}

int slots_open(const char *folder, unsigned file, int flags)
{
	char path[128];
	snprintf(path, sizeof path, "%s/slots.%u", folder, file);
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC, 0600);
	PROP_NEED(fd >= 0);
	return fd;
}
