/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c: an open file that has no name any more, read from the middle, with a second descriptor
 * that appends and a shared mapping.  argv[1] is the folder it is made in.
 */
#include "prop.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS = 1 << 17, READ_BEFORE = 40000 };

static void check_rest(int fd)
{
	uint64_t word;
	PROP_NEED(lseek(fd, 0, SEEK_CUR) == READ_BEFORE * 8);
	for (uint64_t i = READ_BEFORE; i <= WORDS; i++) {
		PROP_NEED(read(fd, &word, sizeof word) == sizeof word);
		if (word != prop_pattern(i))
			prop_fail("word %lu is %#lx, was %#lx", i, word, prop_pattern(i));
	}
	if (read(fd, &word, sizeof word) != 0)
		prop_fail("the file is longer than was written");
}

int file_main(int argc, char **argv)
{
	char path[128];
	snprintf(path, sizeof path, "%s/file.data", argc > 1 ? argv[1] : "/run");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int end = open(path, O_WRONLY | O_APPEND);
	PROP_NEED(fd >= 0 && end >= 0);
	PROP_NEED(unlink(path) == 0 && ftruncate(fd, WORDS * 8) == 0);
	uint64_t *map = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	PROP_NEED(map != MAP_FAILED);
	for (uint64_t i = 0; i < WORDS; i++)
		map[i] = prop_pattern(i);
	PROP_NEED(lseek(fd, READ_BEFORE * 8, SEEK_SET) == READ_BEFORE * 8);
	prop_say("set");

	if (prop_told_to_spoil())
		map[WORDS / 2] ^= 1;
	struct stat st;
	PROP_NEED(fstat(fd, &st) == 0);
	if (st.st_nlink != 0 || st.st_size != WORDS * 8)
		prop_fail("%lu links, %ld bytes", st.st_nlink, st.st_size);
	uint64_t last = prop_pattern(WORDS);
	PROP_NEED(write(end, &last, sizeof last) == sizeof last);
	check_rest(fd);
	prop_ok("%d bytes from offset %d on", WORDS * 8, READ_BEFORE * 8);
}
