/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: every word of some MiB; each fourth page stays zero, so that holes are restored too. */
#include "prop.h"

#include <stddef.h>
#include <sys/mman.h>

enum { PAGE_WORDS = 512 };

static uint64_t word_at(uint64_t index)
{
	return index / PAGE_WORDS % 4 == 3 ? 0 : prop_pattern(index);
}

int memory_main(int argc, char **argv)
{
	uint64_t mib = prop_number(argc, argv, 32), words = mib << 17;
	uint64_t *memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	PROP_NEED(memory != MAP_FAILED);
	for (uint64_t i = 0; i < words; i++)
		if (word_at(i))
			memory[i] = word_at(i);
	prop_say("set");

	if (prop_told_to_spoil())
		memory[words - 1] ^= 1;
	for (uint64_t i = 0; i < words; i++)
		if (memory[i] != word_at(i))
			prop_fail("word %lu of page %lu is %#lx, was %#lx", i % PAGE_WORDS,
				  i / PAGE_WORDS, memory[i], word_at(i));
	prop_ok("%lu MiB", mib);
}
