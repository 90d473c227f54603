/* SPDX-License-Identifier: Apache-2.0 */
/* flip_file FILE: changes bits where a restore does not look into sections, one at a time, and asks
 * the monitor's reader. FILE is written to and left as it was. Prints TAP.
 *
 * The bytes between the RAM checksums and RAM are zero and refused without verification: all of
 * their first and last page, and one byte of every 512 between (they are read page by page, by one
 * comparison). The checksums: every bit, refused by verification. RAM: one bit of every 997 bytes of
 * the present blocks and of one absent block. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "flow.h"
#include "life/snapshot.h"
#include "plan/image.h"

enum { PAGE = 4096, SPARSE = 512, RAM_STEP = 997 };

static const char *path;
static int fd;
static unsigned n_cases;
static bool bad;

static void result(bool ok, const char *name, uint64_t n)
{
	n_cases++;
	bad |= !ok;
	printf("%s %u - %s (%" PRIu64 ")\n", ok ? "ok" : "not ok", n_cases, name, n);
}

static void fatal(const char *why)
{
	fprintf(stderr, "flip_file: %s: %s\n", path, why);
	exit(2);
}

static enum err_code judge(bool verify)
{
	struct snapshot *s;
	err_t e = snapshot_open(path, NULL, &s);

	if (failed(e))
		return e.code;
	e = verify ? snapshot_verify(s, NULL, NULL, NULL) : OK;
	snapshot_free(s);
	return e.code;
}

static void flip(uint64_t at, unsigned bit)
{
	uint8_t b;

	if (pread(fd, &b, 1, (off_t)at) != 1)
		fatal(strerror(errno));
	b ^= (uint8_t)(1u << bit);
	if (pwrite(fd, &b, 1, (off_t)at) != 1)
		fatal(strerror(errno));
}

static bool refused(uint64_t at, unsigned bit, bool verify, enum err_code want)
{
	enum err_code got;

	flip(at, bit);
	got = judge(verify);
	flip(at, bit);
	return got == want;
}

static void gap_flip(uint64_t at, uint64_t end)
{
	uint64_t n = 0, let = 0;

	for (uint64_t i = at; i < end; n++) {
		let += !refused(i, (unsigned)(n % 8), false, ERR_RESERVED);
		i += i - at < PAGE || end - i <= PAGE ? 1 : end - PAGE - i < SPARSE ? end - PAGE - i
									       : SPARSE;
	}
	result(let == 0, "a bit between the checksums and RAM is refused", n);
}

static void sums_flip(const struct snap_row *sums)
{
	uint64_t let = 0, bits = 8 * sums->size.v;

	for (uint64_t bit = 0; bit < bits; bit++)
		let += !refused(sums->offset.v + bit / 8, (unsigned)(bit % 8), true, ERR_CHECKSUM);
	result(let == 0, "every bit of the RAM checksums is refused by verification", bits);
	result(refused(sums->offset.v, 0, false, ERR_NONE), "and not read by a restore", 1);
}

static void ram_flip(const struct ram_map *m, uint64_t ram)
{
	uint64_t n = 0, let = 0, absent = UINT64_MAX;

	for (uint64_t b = 0; b < m->blocks; b++) {
		bool there = (m->bits[b / 8] >> b % 8 & 1) != 0;

		if (!there && absent != UINT64_MAX)
			continue;
		if (!there)
			absent = b;
		for (uint64_t i = 0; i < RAM_BLOCK; i += RAM_STEP, n++)
			let += !refused(ram + b * RAM_BLOCK + i, (unsigned)(i % 8), true,
					there ? ERR_CHECKSUM : ERR_LAYOUT);
	}
	result(let == 0, "a bit of RAM is refused by verification", n);
}

int main(int argc, char **argv)
{
	const struct snap_row *sums, *ram;
	struct snapshot *s;

	if (argc != 2)
		return 2;
	path = argv[1];
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fatal(strerror(errno));
	if (failed(snapshot_open(path, NULL, &s)))
		fatal("is not a good file");
	sums = image_row(snapshot_image(s), SECT_RAM_SUMS, 0);
	ram = image_row(snapshot_image(s), SECT_RAM, 0);
	gap_flip(sums->offset.v + sums->size.v, ram->offset.v);
	sums_flip(sums);
	ram_flip(image_ram_map(snapshot_image(s)), ram->offset.v);
	snapshot_free(s);
	result(judge(true) == ERR_NONE, "and the file is good again", 1);
	printf("1..%u\n", n_cases);
	return bad ? 1 : 0;
}
