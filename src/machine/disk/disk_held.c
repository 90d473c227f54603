/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "machine/disk/disk_parts.h"

bytes_t disk_file_held(int fd)
{
	struct stat st;

	return BYTES(fstat(fd, &st) != 0 || st.st_blocks < 0 ? 0 : (uint64_t)st.st_blocks * 512);
}

bytes_t disk_base_held(const struct disk_base *b)
{
	const struct disk *k = disk_base_as(b);
	uint64_t held = 0;

	for (uint32_t i = 0; i < k->n_under; i++)
		held += disk_file_held(k->under[i]->file.raw).v;
	return BYTES(held);
}
