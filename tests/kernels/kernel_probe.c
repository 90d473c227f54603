/* SPDX-License-Identifier: Apache-2.0 */
/* Does with a kernel file what a boot does with it, and shows what became of it.
 *
 *   kernel-probe place FILE METHOD MIB OUT   prints "HOW ENTRY END MICROSECONDS"; OUT gets the RAM
 *   kernel-probe mutate FILE SEED COUNT      spoils headers COUNT times; prints how many were taken
 *   kernel-probe cut FILE                    cuts the file at many places; all must be refused
 *
 * Exit status: 0, or 1 with a sentence on stderr. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/own.h"
#include "machine/boot/boot_file.h"
#include "machine/boot/boot_place.h"
#include "machine/boot/kernel_x86_64.h"
#include "plan/map_x86_64.h"
#include "wire/bzimage.h"

static const struct { const char *word; enum boot_method method; } methods[] = {
	{ "auto", BOOT_AUTO }, { "pvh", BOOT_PVH }, { "linux64", BOOT_LINUX64 },
	{ "bzimage", BOOT_BZIMAGE },
};

static int fail(const char *what)
{
	fprintf(stderr, "kernel-probe: %s\n", what);
	return 1;
}

static struct gmem ram_on(int fd, uint64_t len)
{
	struct gmem m = { .n_regions = 1, .regions = { { .len = BYTES(len) } } };
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;

	m.base = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (m.base == MAP_FAILED) {
		perror("kernel-probe: RAM");
		exit(1);
	}
	return m;
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int place(const char *path, const char *word, uint64_t mib, const char *out)
{
	owned_fd file = { open(path, O_RDONLY | O_CLOEXEC) };
	owned_fd to = { open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) };
	struct boot_file kernel = { file.raw, path };
	enum boot_method method = BOOT_AUTO;
	struct diag d = DIAG_INIT;
	struct gmem ram;
	struct kernel k;
	uint64_t began;

	for (size_t i = 0; i < countof(methods); i++)
		if (strcmp(methods[i].word, word) == 0)
			method = methods[i].method;
	if (!fd_is_open(to) || ftruncate(to.raw, (off_t)MIB(mib)) < 0)
		return fail("cannot make the file for the RAM");
	ram = ram_on(to.raw, MIB(mib));
	began = now_us();
	if (failed(kernel_place(&kernel, method, &ram, GPA(MAP_KERNEL), &d, &k)))
		return fail(d.text);
	printf("%s %#" PRIx64 " %#" PRIx64 " %" PRIu64 "\n",
	       k.how == ENTRY_PVH ? "pvh" : "linux64", k.entry, k.end.v, now_us() - began);
	return 0;
}

/* The file, readable from its start, and memory that can be spoilt. */
static struct cur file_copy(const char *path, map_t *ret)
{
	owned_fd file = { open(path, O_RDONLY | O_CLOEXEC) };
	struct boot_file kernel = { file.raw, path };
	struct diag d = DIAG_INIT;
	bytes_t len;

	if (failed(boot_kernel_len(&kernel, &d, &len)) ||
	    failed(boot_file_copy(&kernel, len, &d, ret))) {
		fprintf(stderr, "kernel-probe: %s\n", d.text);
		exit(1);
	}
	return cur_of(ret->base, ret->len);
}

/* Stops after the first piece, whose headers are parsed as the loader would. */
static err_t first_piece(void *ctx, const uint8_t *bytes, size_t n, struct diag *d)
{
	struct elf e;
	size_t head = n < PLACE_HEAD ? n : PLACE_HEAD;

	TRY(elf_parse(cur_of(bytes, head), BYTES(*(uint32_t *)ctx), d, &e));
	return FAIL(ERR_STATE);
}

/* Everything that reads headers, and the first piece of the unpacked kernel. */
static err_t judge(struct cur file, uint8_t *scratch, struct diag *d)
{
	struct unpack_bound bound = { BYTES(MIB(512)), "the probe's bound" };
	enum packing packing;
	struct bzimage b;
	struct sink to = { first_piece, &b.unpacked_len, scratch };
	bytes_t len;
	err_t e;

	TRY(bzimage_parse(file, d, &b));
	TRY(packing_of(b.payload, d, &packing));
	e = unpack(packing, bzimage_packed(&b, packing), bound, &to, d, &len);
	return e.code == ERR_STATE ? OK : e;
}

static int mutate(const char *path, uint64_t seed, uint64_t count)
{
	owned_map copy = MAP_NONE;
	struct cur file = file_copy(path, &copy);
	uint8_t *bytes = copy.base, *scratch = malloc(UNPACK_SCRATCH);
	uint64_t x = seed, taken = 0;
	struct bzimage b;

	if (scratch == NULL || failed(bzimage_parse(file, NULL, &b)))
		return fail("is not a bzImage to begin with");
	for (uint64_t i = 0; i < count; i++) {
		size_t at, n = 1 + i % 3;
		uint8_t kept[3];

		/* Two in three in the setup header, the others at the start of the payload. */
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		at = i % 3 != 0 ? 0x1f1 + (x >> 33) % 0x80 :
		     (size_t)(b.payload.at - bytes) + (x >> 33) % 256;
		memcpy(kept, bytes + at, n);
		for (size_t j = 0; j < n; j++)
			bytes[at + j] ^= (uint8_t)(x >> (8 * j) | 1);
		if (!failed(judge(file, scratch, NULL)))
			taken++;
		memcpy(bytes + at, kept, n);
	}
	free(scratch);
	if (taken == 0 || taken == count)
		return fail("mutations were all taken, or all refused");
	printf("%" PRIu64 " of %" PRIu64 " taken\n", taken, count);
	return 0;
}

/* Each place in the setup part and around the edges of the payload, in memory that ends there. */
static int cut(const char *path)
{
	owned_map copy = MAP_NONE;
	struct cur file = file_copy(path, &copy);
	uint8_t *scratch = malloc(UNPACK_SCRATCH);
	size_t code_end;
	struct bzimage b;

	if (scratch == NULL || failed(bzimage_parse(file, NULL, &b)))
		return fail("is not a bzImage to begin with");
	code_end = (size_t)(b.code.end - file.at);
	for (size_t n = 0; n < code_end; n += n < 0x400 || n + 64 > code_end ? 1 : 99991) {
		uint8_t *part = malloc(n + 1);

		if (part == NULL)
			return fail("no memory");
		memcpy(part + 1, file.at, n);
		if (!failed(judge(cur_of(part + 1, n), scratch, NULL)))
			return fail("a part of it was taken for the whole");
		free(part);
	}
	free(scratch);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "place") == 0)
		return place(argv[2], argv[3], strtoull(argv[4], NULL, 10), argv[5]);
	if (argc == 5 && strcmp(argv[1], "mutate") == 0)
		return mutate(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "cut") == 0)
		return cut(argv[2]);
	return fail("usage: place FILE METHOD MIB OUT | mutate FILE SEED COUNT | cut FILE");
}
