/* SPDX-License-Identifier: Apache-2.0 */
#include "support/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test.h"
#include "support/tguest.h"

static char place[PATH_MAX];

static int setup_in(const char *base)
{
	(void)snprintf(place, sizeof place, "%s/spore-test-XXXXXX", base);
	return mkdtemp(place) == NULL || chdir(place) != 0;
}

int place_setup_disk(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	return setup_in(tmp != NULL ? tmp : "/var/tmp");
}

int place_setup(void **state)
{
	return access("/dev/shm", W_OK) == 0 ? setup_in("/dev/shm") : place_setup_disk(state);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

int place_teardown(void **state)
{
	(void)state;
	return chdir("/") != 0 || nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0;
}

int place_files(void)
{
	DIR *d = opendir(".");
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

void place_clear(void)
{
	DIR *d = opendir(".");
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			assert_int_equal(unlink(e->d_name), 0);
	}
	(void)closedir(d);
}

int64_t place_blocks(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? (int64_t)st.st_blocks * 512 : -1;
}

void place_make_disk(const char *name, uint64_t size, uint64_t seed, uint64_t filled)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t words[512];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (uint64_t at = 0; at < filled; at += sizeof words) {
		for (uint64_t i = 0; i < 512; i++)
			words[i] = guest_pattern(seed, at + 8 * i);
		assert_int_equal(pwrite(fd, words, sizeof words, (off_t)at), sizeof words);
	}
	assert_int_equal(close(fd), 0);
}
