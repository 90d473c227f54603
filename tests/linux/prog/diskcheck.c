/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diskcheck.c: the files of disk.c as found on a disk whose writer is gone (a copy taken at the
 * freeze, a machine that was killed).  Each must be at one point of its writer's rounds.
 */
#include "prop.h"
#include "slots.h"

#include <fcntl.h>

int diskcheck_main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "/mnt";
	uint64_t total = 0;
	for (unsigned file = 0; file < SLOT_FILES; file++) {
		int fd = slots_open(folder, file, O_RDONLY);
		uint64_t first = slot_read(fd, file, 0), before = first;
		for (unsigned slot = 1; slot < SLOT_COUNT; slot++) {
			uint64_t version = slot_read(fd, file, slot);
			if (version > before || version + 1 < first)
				prop_fail("file %u slot %u holds version %lu after %lu and %lu",
					  file, slot, version, first, before);
			before = version;
			total += version;
		}
		total += first;
	}
	prop_ok("%d files, %lu writes", SLOT_FILES, total);
}
