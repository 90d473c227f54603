/* SPDX-License-Identifier: Apache-2.0 */
#include "support/held.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>

#include "support/test.h"

enum { MAPPINGS = 20, HEAP = 65536, PAGES = 512 }; /* not one for each machine */

int entries_of(const char *folder)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static int lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	int n = 0, c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	(void)fclose(f);
	return n;
}

static size_t resident_now(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t all, resident;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", &all, &resident), 2);
	(void)fclose(f);
	return resident;
}

struct held held_now(void)
{
	return (struct held){ entries_of("/proc/self/fd"), entries_of("/proc/self/task"),
			      lines_of("/proc/self/maps"), mallinfo2().uordblks, resident_now() };
}

void held_no_more_than(const struct held *before, int fds)
{
	struct held after = held_now();

	assert_in_range(after.fds, 0, before->fds + fds);
	assert_int_equal(after.threads, before->threads);
	assert_in_range(after.mappings, 0, before->mappings + MAPPINGS);
	assert_in_range(after.heap, 0, before->heap + HEAP);
	/* A sanitizer's heap, which mallinfo(3) does not know, keeps what was freed for a while. */
	if (after.heap != 0)
		assert_in_range(after.resident, 0, before->resident + PAGES);
}
