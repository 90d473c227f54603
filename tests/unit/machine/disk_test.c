/* SPDX-License-Identifier: Apache-2.0 */
/* Disks: which files may be one, who may hold them at the same time, what a restore accepts; and
 * the copy-on-write layers against a plain array, through random requests and generations of stored
 * copies. */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "machine/disk/disk_parts.h"
#include "support/driver.h"

static char dir[64];
static int dir_fd;

/* FICLONE as a file system with reflinks does it, told by the bytes: whichever one the tests run
 * on, both ways of making a copy are taken. The linker prefers this ioctl to the C library's. */
static bool reflinks;
static unsigned cloned;

static int clone_file(int to, int from)
{
	struct stat st;

	if (!reflinks) {
		errno = EOPNOTSUPP;
		return -1;
	}
	cloned++;
	if (fstat(from, &st) != 0 || ftruncate(to, 0) != 0 || ftruncate(to, st.st_size) != 0)
		return -1;
	for (off_t at = 0; at < st.st_size;) {
		uint8_t b[65536];
		ssize_t n = pread(from, b, sizeof b, at);

		if (n <= 0 || pwrite(to, b, (size_t)n, at) != n)
			return -1;
		at += n;
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	long arg;

	va_start(args, request);
	arg = va_arg(args, long);
	va_end(args);
	return request == FICLONE ? clone_file(fd, (int)arg) : (int)syscall(SYS_ioctl, fd, request, arg);
}

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/spore-disk-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_true(dir_fd >= 0);
	return 0;
}

static void each_name(void (*f)(const char *))
{
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' || strlen(e->d_name) > 2)
			f(e->d_name);
	(void)closedir(d);
}

static void remove_name(const char *name)
{
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
}

static size_t names;

static void count_name(const char *name)
{
	(void)name;
	names++;
}

static size_t names_in_dir(void)
{
	names = 0;
	each_name(count_name);
	return names;
}

static int remove_dir(void **state)
{
	(void)state;
	each_name(remove_name);
	close(dir_fd);
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	static char path[8][128];
	static unsigned i;

	i = (i + 1) % 8;
	(void)snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static const char *file(const char *name, uint64_t size)
{
	char temp[64];

	close(temp_file(temp, size, 1));
	assert_int_equal(rename(temp, in_dir(name)), 0);
	return in_dir(name);
}

static struct disk *opened(const char *path, enum disk_mode mode)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	if (failed(disk_open(path, mode, dir, &d, &k)))
		fail_msg("%s", d.text);
	return k;
}

static void refused(const char *path, enum disk_mode mode, enum err_code code, const char *words)
{
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	assert_int_equal(disk_open(path, mode, dir, &d, &k).code, code);
	assert_null(k);
	if (strstr(d.text, words) == NULL || strstr(d.text, path) == NULL)
		fail_msg("\"%s\" says neither \"%s\" nor the file", d.text, words);
}

static void files_that_are_no_disks_are_refused(void **state)
{
	(void)state;
	for (enum disk_mode m = DISK_RO; m <= DISK_COW; m++) {
		refused(in_dir("nowhere"), m, ERR_FILE, "No such file");
		refused(file("empty", 0), m, ERR_DISK, "at least one sector");
		refused(file("short", 511), m, ERR_DISK, "at least one sector");
		refused(file("odd", 1000), m, ERR_DISK, "multiple of 512");
	}
	refused(dir, DISK_RO, ERR_DISK, "regular file or a block device");
	refused("/dev/zero", DISK_RO, ERR_DISK, "regular file or a block device");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	refused(in_dir("fifo"), DISK_RO, ERR_DISK, "regular file or a block device");
	disk_free(opened(file("one-sector", 512), DISK_COW));
}

static void its_size_and_mode_can_be_asked(void **state)
{
	struct disk *k = opened(file("d", 1536), DISK_RO);

	(void)state;
	assert_int_equal(disk_capacity(k).v, 1536);
	assert_int_equal(disk_mode(k), DISK_RO);
	assert_false(disk_needs_storing(k));
	disk_free(k);
}

/* Who may hold a file that who else holds. Open-file-description locks tell two opens of one
 * process apart as they do two processes. */
static void locks_keep_writers_alone(void **state)
{
	static const bool together[4][4] = {
		[DISK_RO] = { [DISK_RO] = true, [DISK_COW] = true },
		[DISK_COW] = { [DISK_RO] = true, [DISK_COW] = true },
	};
	const char *path = file("d", 4096);

	(void)state;
	for (enum disk_mode a = DISK_RO; a <= DISK_COW; a++) {
		for (enum disk_mode b = DISK_RO; b <= DISK_COW; b++) {
			struct disk *first = opened(path, a);

			if (together[a][b])
				disk_free(opened(path, b));
			else
				refused(path, b, ERR_LOCKED, "in use by another machine");
			disk_free(first);
			disk_free(opened(path, b)); /* let go with the disk */
		}
	}
}

static void fill(uint8_t *b, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		b[i] = pattern(i, seed);
}

static void disk_put(struct disk *k, uint64_t at, const void *bytes, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, n };

	assert_int_equal(disk_write(k, FOFF(at), &iov, 1).code, ERR_NONE);
}

static void disk_get(struct disk *k, uint64_t at, void *ret, size_t n)
{
	struct iovec iov = { ret, n };

	assert_int_equal(disk_read(k, FOFF(at), &iov, 1).code, ERR_NONE);
}

static void a_writable_disk_writes_through(void **state)
{
	const char *path = file("d", 8192);
	struct disk *k = opened(path, DISK_RW);
	uint8_t b[512], back[512];
	int fd = open(path, O_RDONLY);

	(void)state;
	fill(b, sizeof b, 9);
	disk_put(k, 1024, b, sizeof b);
	assert_int_equal(disk_flush(k).code, ERR_NONE);
	assert_int_equal(pread(fd, back, 512, 1024), 512);
	assert_memory_equal(b, back, 512);
	assert_int_equal(disk_zero(k, FOFF(0), BYTES(512), false).code, ERR_NONE);
	assert_int_equal(disk_zero(k, FOFF(4096), BYTES(4096), true).code, ERR_NONE);
	assert_int_equal(pread(fd, back, 512, 0), 512);
	assert_true(bytes_are_zero(back, 512));
	assert_int_equal(pread(fd, back, 512, 4096), 512);
	assert_true(bytes_are_zero(back, 512));
	assert_int_equal(lseek(fd, 0, SEEK_END), 8192);
	close(fd);
	disk_free(k);
}

static void a_read_only_disk_takes_nothing(void **state)
{
	struct disk *k = opened(file("d", 4096), DISK_RO);
	uint8_t b[512] = { 0 };
	struct iovec iov = { b, sizeof b };

	(void)state;
	assert_true(failed(disk_write(k, FOFF(0), &iov, 1)));
	assert_true(failed(disk_zero(k, FOFF(0), BYTES(512), true)));
	assert_true(failed(disk_discard(k, FOFF(0), BYTES(512))));
	assert_int_equal(disk_flush(k).code, ERR_NONE);
	disk_free(k);
}

/* A base that somebody cuts short after all is an error of that request. */
static void a_file_that_ends_early_is_an_error(void **state)
{
	const char *path = file("d", 8192);
	struct disk *k = opened(path, DISK_COW);
	uint8_t b[8192];
	struct iovec iov = { b, sizeof b };

	(void)state;
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(disk_read(k, FOFF(0), &iov, 1).code, ERR_DISK);
	disk_free(k);
}

static void a_base_under_a_layer_is_never_written(void **state)
{
	const char *path = file("d", 200000 / 512 * 512);
	struct disk *k = opened(path, DISK_COW);
	uint8_t b[4096];
	struct stat before, after;

	(void)state;
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(disk_layers_used(k), 0);
	fill(b, sizeof b, 3);
	disk_put(k, 512, b, sizeof b);
	assert_int_equal(disk_layers_used(k), 1);
	assert_int_equal(disk_zero(k, FOFF(65536), BYTES(65536), true).code, ERR_NONE);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_blocks, after.st_blocks);
	disk_free(k);
	assert_int_equal(names_in_dir(), 1); /* the layer has no name and leaves none */
}

/* The guest writes what looks like another format: it is what is read back, by the next open too
 * (GHSA-jmr4-g2hv-mjj6). */
static void a_header_in_the_first_sector_means_nothing(void **state)
{
	static const uint8_t qcow2[512] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\150\0\0\0\013/etc/passwd";
	const char *path = file("d", 65536);
	struct disk *k = opened(path, DISK_RW);
	uint8_t back[512];

	(void)state;
	disk_put(k, 0, qcow2, sizeof qcow2);
	disk_free(k);
	k = opened(path, DISK_RW);
	disk_get(k, 0, back, sizeof back);
	assert_memory_equal(qcow2, back, sizeof back);
	assert_int_equal(disk_capacity(k).v, 65536);
	disk_free(k);
}

/* ---- in place ---- */

static struct blk_state described(struct disk *k)
{
	struct blk_state s;
	struct diag d = DIAG_INIT;

	assert_int_equal(disk_describe(k, &d, &s).code, ERR_NONE);
	return s;
}

static struct disk_places places(const char *replacement)
{
	return (struct disk_places){ dir_fd, replacement, dir };
}

static void reopen_refused(const struct blk_state *s, const char *replacement, enum err_code code,
			   const char *words)
{
	struct disk_places at = places(replacement);
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	assert_int_equal(disk_reopen(s, &at, &d, &k).code, code);
	assert_null(k);
	if (strstr(d.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", d.text, words);
}

static struct disk *reopened(const struct blk_state *s, const char *replacement)
{
	struct disk_places at = places(replacement);
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	if (failed(disk_reopen(s, &at, &d, &k)))
		fail_msg("%s", d.text);
	return k;
}

static void a_disk_in_place_must_be_the_one_it_was(void **state)
{
	const char *path = file("d", 65536), *copy = file("copy", 65536), *old = in_dir("old");
	struct timespec times[2] = { { 0, UTIME_OMIT }, { 1000000, 5 } };

	(void)state;
	for (enum disk_mode m = DISK_RO; m <= DISK_COW; m++) {
		struct disk *k = opened(path, m);
		struct blk_state s = described(k);

		assert_int_equal(s.mode, m);
		assert_string_equal(s.base.path, path);
		assert_false(s.base.stored);
		if (m == DISK_RW)
			reopen_refused(&s, NULL, ERR_LOCKED, "in use by another machine");
		disk_free(k);
		disk_free(reopened(&s, NULL));
		/* Time */
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
		reopen_refused(&s, NULL, ERR_CHANGED, "modification time");
		times[1].tv_sec++;
		/* Inode */
		k = opened(path, m);
		s = described(k);
		disk_free(k);
		assert_int_equal(rename(path, old), 0);
		assert_int_equal(link(copy, path), 0);
		reopen_refused(&s, NULL, ERR_CHANGED, "inode");
		assert_int_equal(rename(old, path), 0);
		/* Size */
		assert_int_equal(truncate(path, 65536 + 512), 0);
		reopen_refused(&s, NULL, ERR_CHANGED, "66048 bytes, expected 65536");
		assert_int_equal(truncate(path, 512), 0);
		reopen_refused(&s, NULL, ERR_CHANGED, "512 bytes, expected 65536");
		assert_int_equal(truncate(path, 0), 0);
		reopen_refused(&s, NULL, ERR_DISK, "at least one sector");
		assert_int_equal(unlink(path), 0);
		reopen_refused(&s, NULL, ERR_FILE, "No such file");
		/* Device: recorded as it was found. */
		(void)file("d", 65536);
		k = opened(path, m);
		s = described(k);
		s.base.dev++;
		disk_free(k);
		reopen_refused(&s, NULL, ERR_CHANGED, "device");
	}
}

static void another_file_is_compared_by_size_alone(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RW);
	struct blk_state s = described(k);
	uint8_t b[512];

	(void)state;
	disk_free(k);
	assert_int_equal(unlink(in_dir("d")), 0);
	k = reopened(&s, file("other", 65536));
	fill(b, sizeof b, 4);
	disk_put(k, 0, b, sizeof b);
	disk_free(k);
	reopen_refused(&s, file("small", 65536 - 512), ERR_CHANGED, "65024 bytes");
	reopen_refused(&s, in_dir("gone"), ERR_FILE, "gone");
}

static void a_write_is_in_the_time_that_is_described(void **state)
{
	const char *path = file("d", 65536);
	struct disk *k = opened(path, DISK_RW);
	uint8_t b[512] = { 1 };
	struct blk_state before = described(k), after;

	(void)state;
	/* The kernel's clock for these is coarse. */
	(void)nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	disk_put(k, 0, b, sizeof b);
	after = described(k);
	disk_free(k);
	reopen_refused(&before, NULL, ERR_CHANGED, "modification time");
	disk_free(reopened(&after, NULL));
}

static void a_private_layer_cannot_be_left_behind(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_COW);
	uint8_t b[512] = { 1 };
	struct blk_state s;
	struct diag d = DIAG_INIT;

	(void)state;
	disk_put(k, 0, b, sizeof b);
	assert_int_equal(disk_describe(k, &d, &s).code, ERR_STATE);
	assert_non_null(strstr(d.text, "must be stored"));
	disk_free(k);
}

/* ---- stored ---- */

static struct blk_state stored(struct disk *k, const char *name)
{
	int to = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct blk_state s;
	struct diag d = DIAG_INIT;

	assert_true(to >= 0);
	if (failed(disk_store_as(k, to, name, &d, &s)))
		fail_msg("%s", d.text);
	(void)close(to);
	return s;
}

static void expect_bytes(struct disk *k, const uint8_t *want, size_t n)
{
	uint8_t *got = malloc(n);

	assert_non_null(got);
	disk_get(k, 0, got, n);
	assert_memory_equal(got, want, n);
	free(got);
}

static void a_writable_disk_is_stored_as_the_base_of_a_layer(void **state)
{
	enum { N = 300 * 1024 };
	const char *path = file("d", N);
	struct disk *k = opened(path, DISK_RW), *copy;
	static uint8_t now[N], b[512];
	struct blk_state s;

	(void)state;
	disk_put(k, 4096, b, sizeof b);
	disk_get(k, 0, now, N);
	s = stored(k, "snap.disk0");
	assert_int_equal(s.mode, DISK_COW);
	assert_true(s.base.stored);
	assert_string_equal(s.base.path, "snap.disk0");
	assert_string_equal(s.layer.path, "");
	/* The source goes on, and the copy does not see it. */
	fill(b, sizeof b, 77);
	disk_put(k, 0, b, sizeof b);
	copy = reopened(&s, NULL);
	expect_bytes(copy, now, N);
	disk_put(copy, 8192, b, sizeof b);
	disk_free(copy);
	copy = reopened(&s, NULL);
	expect_bytes(copy, now, N); /* a second restore sees nothing of the first */
	disk_free(copy);
	disk_free(k);
}

static void a_read_only_disk_is_not_copied(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RO);
	struct blk_state s = stored(k, "snap.disk0");
	struct stat st;

	(void)state;
	assert_int_equal(s.mode, DISK_RO);
	assert_false(s.base.stored);
	assert_int_equal(stat(in_dir("snap.disk0"), &st), 0);
	assert_int_equal(st.st_size, 0);
	disk_free(k);
}

static void holes_stay_holes_in_a_copy(void **state)
{
	const char *path = in_dir("d");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct disk *k;
	uint8_t b[4096];
	struct stat st;
	struct blk_state s;

	(void)state;
	fill(b, sizeof b, 2);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(pwrite(fd, b, sizeof b, 10 << 20), sizeof b);
	close(fd);
	k = opened(path, DISK_RW);
	s = stored(k, "copy");
	assert_int_equal(stat(in_dir("copy"), &st), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	disk_free(k);
	k = reopened(&s, NULL);
	disk_put(k, 0, b, sizeof b); /* a layer that holds one cluster */
	disk_free(k);
}

static void a_copy_has_a_plain_name(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RW);
	int to = open(in_dir("copy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct blk_state s;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(disk_store_as(k, to, "../out", &d, &s).code, ERR_USAGE);
	d = DIAG_INIT;
	assert_int_equal(disk_store_as(k, to, "", &d, &s).code, ERR_USAGE);
	(void)close(to);
	disk_free(k);
}

/* A file that cannot be written: said, with both names. */
static void a_copy_that_fails_is_told(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RW);
	int to = open(file("taken", 512), O_RDONLY | O_CLOEXEC);
	struct blk_state s;
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(disk_store_as(k, to, "taken", &d, &s).code, ERR_SYS);
	assert_non_null(strstr(d.text, "taken"));
	(void)close(to);
	disk_free(k);
}

/* Paths of stored copies come from a file that anybody may have written. */
static void stored_copies_lie_beside_the_snapshot(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RW);
	struct blk_state s = stored(k, "copy");

	(void)state;
	disk_free(k);
	assert_int_equal(symlink("d", in_dir("link")), 0);
	(void)snprintf(s.base.path, sizeof s.base.path, "link");
	reopen_refused(&s, NULL, ERR_FILE, "link");
	(void)snprintf(s.base.path, sizeof s.base.path, "../%s/d", strrchr(dir, '/') + 1);
	reopen_refused(&s, NULL, ERR_FILE, "cannot be opened");
	(void)snprintf(s.base.path, sizeof s.base.path, "%s/d", dir);
	reopen_refused(&s, NULL, ERR_FILE, "cannot be opened");
	(void)snprintf(s.base.path, sizeof s.base.path, "copy");
	s.mode = DISK_RW;
	reopen_refused(&s, NULL, ERR_DEVICE, "never written to");
	s.mode = DISK_COW;
	disk_free(reopened(&s, NULL));
	assert_int_equal(truncate(in_dir("copy"), 65536 - 512), 0);
	reopen_refused(&s, NULL, ERR_CHANGED, "65024 bytes");
}

static void a_map_that_does_not_fit_is_refused(void **state)
{
	struct disk *k = opened(file("d", 1 << 20), DISK_COW);
	uint8_t b[512] = { 1 };
	struct blk_state s, bad;

	(void)state;
	disk_put(k, 0, b, sizeof b);
	s = stored(k, "layer");
	disk_free(k);
	assert_int_equal(s.layer_map_len, 2);
	bad = s;
	bad.layer_map_len = 1;
	reopen_refused(&bad, NULL, ERR_DEVICE, "layer_map");
	bad = s;
	bad.layer_cluster = 4096; /* would want a longer map */
	reopen_refused(&bad, NULL, ERR_DEVICE, "layer_map");
	bad = s;
	bad.layer_cluster = 65535;
	reopen_refused(&bad, NULL, ERR_DEVICE, "layer_map");
	bad = s;
	bad.layer_map = NULL;
	reopen_refused(&bad, NULL, ERR_DEVICE, "layer_map");
	assert_int_equal(truncate(in_dir("layer"), 4096), 0);
	reopen_refused(&s, NULL, ERR_CHANGED, "4096 bytes, expected 1048576");
	free(s.layer_map);
}

/* ---- against a model ---- */

enum { MODEL = 20 * 65536 + 1536 }; /* the last cluster is not whole */

struct model {
	uint8_t bytes[MODEL];
	uint32_t seed;
};

static uint32_t rnd(struct model *m, uint32_t below)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % below;
}

/* Up to a few clusters, often at their edges. */
static void extent(struct model *m, uint64_t *ret_at, size_t *ret_n)
{
	uint64_t sectors = MODEL / 512, at, n = 1 + rnd(m, rnd(m, 4) ? 16 : 400);

	at = rnd(m, 3) ? rnd(m, (uint32_t)sectors) : rnd(m, 21) * 128;
	if (rnd(m, 8) == 0)
		n = 128 * (1 + rnd(m, 3));
	if (n > sectors - at)
		n = sectors - at;
	*ret_at = at * 512;
	*ret_n = (size_t)n * 512;
}

static void model_write(struct model *m, struct disk *k, uint64_t at, size_t n)
{
	struct iovec iov[3];
	size_t a = rnd(m, (uint32_t)n + 1), b = a + rnd(m, (uint32_t)(n - a) + 1);

	for (size_t i = 0; i < n; i++)
		m->bytes[at + i] = (uint8_t)(rnd(m, 1000) ? m->seed >> 16 : 0);
	if (rnd(m, 6) == 0)
		memset(m->bytes + at, 0, n); /* zeroes, for the short cuts */
	iov[0] = (struct iovec){ m->bytes + at, a };
	iov[1] = (struct iovec){ m->bytes + at + a, b - a };
	iov[2] = (struct iovec){ m->bytes + at + b, n - b };
	assert_int_equal(disk_write(k, FOFF(at), iov, 3).code, ERR_NONE);
}

static void model_read(struct model *m, struct disk *k, uint64_t at, size_t n)
{
	static uint8_t got[MODEL];
	size_t a = rnd(m, (uint32_t)n + 1);
	struct iovec iov[2] = { { got, a }, { got + a, n - a } };

	assert_int_equal(disk_read(k, FOFF(at), iov, 2).code, ERR_NONE);
	assert_memory_equal(got, m->bytes + at, n);
}

/* Each sector is what it was or zero; whichever it is, it stays. */
static void model_discard(struct model *m, struct disk *k, uint64_t at, size_t n)
{
	static uint8_t got[MODEL];

	assert_int_equal(disk_discard(k, FOFF(at), BYTES(n)).code, ERR_NONE);
	disk_get(k, at, got, n);
	for (size_t i = 0; i < n; i += 512) {
		if (!bytes_are_zero(got + i, 512))
			assert_memory_equal(got + i, m->bytes + at + i, 512);
		memcpy(m->bytes + at + i, got + i, 512);
	}
}

static void model_run(struct model *m, struct disk *k, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++) {
		uint64_t at;
		size_t n;

		extent(m, &at, &n);
		switch (rnd(m, 8)) {
		case 0:
			memset(m->bytes + at, 0, n);
			assert_int_equal(disk_zero(k, FOFF(at), BYTES(n), rnd(m, 2)).code, ERR_NONE);
			break;
		case 1:
			model_discard(m, k, at, n);
			break;
		case 2: case 3: case 4:
			model_write(m, k, at, n);
			break;
		default:
			model_read(m, k, at, n);
			break;
		}
	}
	expect_bytes(k, m->bytes, MODEL);
}

static void model_new(struct model *m, enum disk_mode mode, uint32_t seed, struct disk **ret_disk)
{
	const char *path = file("model", MODEL);

	m->seed = seed;
	for (size_t i = 0; i < MODEL; i++)
		m->bytes[i] = pattern(i, 1);
	*ret_disk = opened(path, mode);
}

static void random_requests_on_a_writable_disk(void **state)
{
	static struct model m;
	struct disk *k;

	(void)state;
	model_new(&m, DISK_RW, 1, &k);
	model_run(&m, k, 3000);
	disk_free(k);
}

/* Base, layer, stored layer, and so on; the base never changes, no chain grows, and every earlier
 * generation still is what it was. */
static void generations(enum disk_mode mode, uint32_t seed)
{
	enum { GENERATIONS = 10 };
	static struct model m, then[GENERATIONS];
	struct blk_state s[GENERATIONS];
	struct disk *k;

	model_new(&m, mode, seed, &k);
	for (size_t g = 0; g < GENERATIONS; g++) {
		char name[16];

		/* The first fills its layer; later ones are thin, so that every combination of
		 * layers under a cluster occurs. */
		model_run(&m, k, g == 0 ? 30 : 4);
		(void)snprintf(name, sizeof name, "g%zu", g);
		s[g] = stored(k, name);
		then[g] = m;
		model_run(&m, k, 20); /* the source goes on */
		disk_free(k);
		m.seed ^= (uint32_t)g;
		memcpy(m.bytes, then[g].bytes, MODEL);
		k = reopened(&s[g], NULL);
		expect_bytes(k, m.bytes, MODEL);
	}
	disk_free(k);
	for (size_t g = 0; g < GENERATIONS; g++) {
		struct disk *again = reopened(&s[g], NULL);

		assert_int_equal(s[g].mode, DISK_COW);
		assert_int_equal(s[g].base.stored, mode == DISK_RW);
		assert_int_equal(s[g].layer.stored, mode == DISK_COW);
		expect_bytes(again, then[g].bytes, MODEL);
		disk_free(again);
		free(s[g].layer_map);
	}
	assert_int_equal(names_in_dir(), GENERATIONS + 1);
}

static void random_requests_through_generations_of_layers(void **state)
{
	(void)state;
	for (uint32_t seed = 2; seed < 12; seed++) {
		reflinks = seed % 2 != 0;
		generations(DISK_COW, seed);
		each_name(remove_name);
	}
}

static void random_requests_through_generations_of_whole_copies(void **state)
{
	(void)state;
	for (uint32_t seed = 20; seed < 26; seed++) {
		reflinks = seed % 2 != 0;
		cloned = 0;
		generations(DISK_RW, seed);
		each_name(remove_name);
		/* The first at least is one file; most others are put together. */
		assert_true(reflinks ? cloned != 0 : cloned == 0);
	}
	reflinks = false;
}

/* A generation that lives on the first one's files still does when those are deleted. */
static void a_stored_copy_of_a_stored_copy_stands_alone(void **state)
{
	static struct model m;
	struct blk_state first, second;
	struct disk *k;

	(void)state;
	model_new(&m, DISK_RW, 4, &k);
	first = stored(k, "first");
	disk_free(k);
	k = reopened(&first, NULL);
	model_run(&m, k, 200);
	second = stored(k, "second");
	disk_free(k);
	assert_int_equal(unlink(in_dir("first")), 0);
	assert_int_equal(unlink(in_dir("model")), 0);
	k = reopened(&second, NULL);
	expect_bytes(k, m.bytes, MODEL);
	disk_free(k);
}

/* The copy is the other snapshot's, and goes with it: even untouched it cannot be referred to. */
static void another_snapshot_s_copy_is_not_left_in_place(void **state)
{
	struct disk *k = opened(file("d", 65536), DISK_RW);
	struct blk_state first = stored(k, "first"), second;
	struct diag d = DIAG_INIT;
	uint8_t now[65536];

	(void)state;
	assert_false(disk_needs_storing(k));
	disk_get(k, 0, now, sizeof now);
	disk_free(k);
	k = reopened(&first, NULL);
	assert_true(disk_needs_storing(k));
	assert_int_equal(disk_describe(k, &d, &second).code, ERR_STATE);
	assert_non_null(strstr(d.text, "belongs to another snapshot"));
	second = stored(k, "second");
	disk_free(k);
	assert_int_equal(unlink(in_dir("first")), 0);
	k = reopened(&second, NULL);
	expect_bytes(k, now, sizeof now);
	disk_free(k);
}

static void a_large_disk_has_larger_clusters(void **state)
{
	(void)state;
	assert_int_equal(layer_cluster_for(512), 65536);
	assert_int_equal(layer_cluster_for(GIB(4095)), 65536);
	assert_int_equal(layer_cluster_for(GIB(4096)), 131072);
	assert_int_equal(layer_cluster_for(GIB(128) * 1024 - 1), 2 << 20);
	assert_int_equal(layer_cluster_for(GIB(128) * 1024), 0);
	for (uint64_t size = 512; size < GIB(128) * 1024; size *= 2) {
		uint32_t c = layer_cluster_for(size);

		assert_true(layer_map_len(size, c) <= LAYER_MAP_MAX);
		assert_true((uint64_t)layer_map_len(size, c) * 8 * c >= size);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	static const struct CMUnitTest tests[] = {
		T(files_that_are_no_disks_are_refused),
		T(its_size_and_mode_can_be_asked),
		T(locks_keep_writers_alone),
		T(a_writable_disk_writes_through),
		T(a_read_only_disk_takes_nothing),
		T(a_file_that_ends_early_is_an_error),
		T(a_base_under_a_layer_is_never_written),
		T(a_header_in_the_first_sector_means_nothing),
		T(a_disk_in_place_must_be_the_one_it_was),
		T(another_file_is_compared_by_size_alone),
		T(a_write_is_in_the_time_that_is_described),
		T(a_private_layer_cannot_be_left_behind),
		T(a_writable_disk_is_stored_as_the_base_of_a_layer),
		T(a_read_only_disk_is_not_copied),
		T(holes_stay_holes_in_a_copy),
		T(a_copy_has_a_plain_name),
		T(a_copy_that_fails_is_told),
		T(stored_copies_lie_beside_the_snapshot),
		T(a_map_that_does_not_fit_is_refused),
		T(random_requests_on_a_writable_disk),
		T(random_requests_through_generations_of_layers),
		T(random_requests_through_generations_of_whole_copies),
		T(a_stored_copy_of_a_stored_copy_stands_alone),
		T(another_snapshot_s_copy_is_not_left_in_place),
		cmocka_unit_test(a_large_disk_has_larger_clusters),
	};
#undef T
	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
