/* SPDX-License-Identifier: Apache-2.0 */
/* mutate cut|flip|random [--count N] [--seed S] [--out DIR] FILE...: what no reader may let through,
 * tried on good files. Prints TAP.
 *
 *   cut    every length of the part before RAM, and one byte around every block edge of RAM
 *   flip   every bit before the RAM checksums; those and RAM are for verification (flip_file)
 *   random N files changed at random behind repaired lengths, offsets and checksums
 *
 * Every input lies in an allocation of exactly its size, so that a sanitizer sees one byte too far.
 * --out: the parts before RAM of mutants that were accepted go to DIR/FILE-NUMBER.front. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mutate/heap_count.h"
#include "support/mutant.h"

enum { FILES_MAX = 32, FRONT = 8192 };

struct file {
	const char *path;
	uint8_t *bytes; /* everything before RAM */
	size_t need, sums_end;
	uint64_t ram, len;
	struct pieces *pieces;
};

static struct file files[FILES_MAX];
static unsigned n_files, n_cases;
static bool bad;

static void result(bool ok, const char *path, const char *name, uint64_t n)
{
	const char *base = strrchr(path, '/');

	n_cases++;
	bad |= !ok;
	printf("%s %u - %s: %s (%" PRIu64 ")\n", ok ? "ok" : "not ok", n_cases,
	       base == NULL ? path : base + 1, name, n);
}

/* Reads as a restore does: how much is wanted is asked of the front first. */
static err_t judge(const uint8_t *bytes, size_t n, foff_t file_len, struct diag *d)
{
	const struct image *im;
	bytes_t need;

	TRY(image_extent(cur_of(bytes, n < FRONT ? n : FRONT), file_len, d, &need));
	TRY(image_parse(cur_of(bytes, n < need.v ? n : (size_t)need.v), file_len, d, &im));
	image_free(im);
	return OK;
}

static uint8_t *exactly(const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n);

	if (copy == NULL && n != 0)
		abort();
	if (n != 0)
		memcpy(copy, bytes, n);
	return copy;
}

static uint64_t field(const struct file *f, uint64_t row, unsigned at)
{
	const uint8_t *p = f->bytes + SNAP_HEAD_SIZE + row * SNAP_ROW_SIZE + at;
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static void fatal(const char *path, const char *why)
{
	fprintf(stderr, "mutate: %s: %s\n", path, why);
	exit(2);
}

static void file_open(struct file *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct diag d = DIAG_INIT;
	struct stat st;
	uint32_t n;

	f->path = path;
	if (fd < 0 || fstat(fd, &st) != 0)
		fatal(path, strerror(errno));
	f->len = (uint64_t)st.st_size;
	f->bytes = malloc(MIB(2));
	if (f->bytes == NULL || pread(fd, f->bytes, MIB(2), 0) != (ssize_t)MIB(2))
		fatal(path, "is shorter than a snapshot");
	(void)close(fd);
	n = f->bytes[20];
	f->ram = field(f, n - 1, 8);
	f->need = (size_t)field(f, n - 2, 8);
	f->sums_end = f->need + (size_t)field(f, n - 2, 16);
	if (f->ram != MIB(2))
		fatal(path, "has RAM elsewhere than at 2 MiB");
	if (failed(judge(f->bytes, f->need, FOFF(f->len), &d)))
		fatal(path, d.text);
	f->pieces = pieces_of(f->bytes, f->sums_end);
}

static void cut_all(const struct file *f)
{
	uint64_t n = 0, let = 0;

	for (uint64_t len = 0; len <= f->ram; len++, n++) {
		size_t have = len < f->need ? (size_t)len : f->need;
		uint8_t *bytes = exactly(f->bytes, have);

		let += !failed(judge(bytes, have, FOFF(len), NULL));
		free(bytes);
	}
	for (uint64_t edge = f->ram; edge <= f->len; edge += RAM_BLOCK)
		for (uint64_t len = edge - 1; len <= edge + 1; len++, n++)
			let += len != f->len && !failed(judge(f->bytes, f->need, FOFF(len), NULL));
	result(let == 0, f->path, "every truncation and block edge is refused", n);
}

static void flip_all(const struct file *f)
{
	uint8_t *bytes = exactly(f->bytes, f->need);
	uint64_t let = 0;

	for (size_t bit = 0; bit < 8 * f->need; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		let += !failed(judge(bytes, f->need, FOFF(f->len), NULL));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	let += failed(judge(bytes, f->need, FOFF(f->len), NULL));
	free(bytes);
	result(let == 0, f->path, "every flipped bit before the RAM checksums is refused", 8 * f->need);
}

struct tally {
	uint64_t mutants, accepted, reached, by_section[SECT_RAM + 1];
	uint64_t most_steps_per_byte_x1000, most_bytes;
};

static bool is_section(const char *word, uint32_t *ret_kind)
{
	enum sect_kind kind;

	for (uint32_t k = 1; k <= SECT_RAM; k++) {
		if (!failed(sect_kind_parse(k, &kind)) && strcmp(word, sect_kind_word(kind)) == 0) {
			*ret_kind = k;
			return true;
		}
	}
	return false;
}

static void count_refusal(struct tally *t, err_t e, const struct diag *d)
{
	uint32_t kind;

	if (e.code == ERR_CHECKSUM || d->section == NULL || !is_section(d->section, &kind))
		return;
	t->reached++;
	t->by_section[kind]++;
}

static void keep(const char *dir, const struct file *f, uint64_t number, const uint8_t *bytes,
		 size_t n)
{
	const char *base = strrchr(f->path, '/');
	char path[4096];
	FILE *to;

	(void)snprintf(path, sizeof path, "%s/%s-%" PRIu64 ".front", dir,
		       base == NULL ? f->path : base + 1, number);
	to = fopen(path, "wb");
	if (to == NULL || fwrite(bytes, 1, n, to) != n || fclose(to) != 0)
		fatal(path, strerror(errno));
}

static void mutate_one(struct tally *t, uint64_t seed, uint64_t number, const char *out)
{
	const struct file *f = &files[number % n_files];
	const struct file *donor = &files[random_next(&seed) % n_files];
	struct pieces *p = pieces_copy(f->pieces);
	struct diag d = DIAG_INIT;
	uint64_t steps, per_byte;
	foff_t file_len;
	uint8_t *bytes;
	size_t n;
	err_t e;

	pieces_mutate(p, donor->pieces, &seed);
	bytes = pieces_encode(p, &n, &file_len);
	steps = bytes_steps();
	heap_count_start();
	e = judge(bytes, n, file_len, &d);
	t->most_bytes = heap_counted() > t->most_bytes ? heap_counted() : t->most_bytes;
	per_byte = (bytes_steps() - steps) * 1000 / n;
	if (per_byte > t->most_steps_per_byte_x1000)
		t->most_steps_per_byte_x1000 = per_byte;
	t->mutants++;
	if (failed(e)) {
		count_refusal(t, e, &d);
	} else {
		t->accepted++;
		t->reached++;
		if (out != NULL)
			keep(out, f, number, bytes, n);
	}
	free(bytes);
	pieces_free(p);
}

static void mutate_all(uint64_t count, uint64_t seed, const char *out)
{
	struct tally t = { 0 };

	for (uint64_t i = 0; i < count; i++)
		mutate_one(&t, seed + i * UINT64_C(0xD1342543DE82EF95), i, out);
	printf("# %" PRIu64 " mutants: %" PRIu64 " reached a section decoder, %" PRIu64
	       " were accepted\n", t.mutants, t.reached, t.accepted);
	for (uint32_t k = 1; k <= SECT_RAM; k++)
		if (t.by_section[k] != 0)
			printf("# refused in %s: %" PRIu64 "\n", sect_kind_word((enum sect_kind)k),
			       t.by_section[k]);
	printf("# at most %" PRIu64 ".%03" PRIu64 " steps for each byte, at most %" PRIu64
	       " bytes allocated for one file\n", t.most_steps_per_byte_x1000 / 1000,
	       t.most_steps_per_byte_x1000 % 1000, t.most_bytes);
	result(t.mutants == count, "all", "mutants ended without a crash", t.mutants);
	result(t.reached * 2 >= t.mutants, "all", "at least half reached a section decoder", t.reached);
	result(t.most_steps_per_byte_x1000 <= 1000, "all", "at most one step for each byte",
	       t.most_steps_per_byte_x1000);
	result(t.most_bytes <= MIB(4), "all", "at most 4 MiB allocated for one file", t.most_bytes);
}

int main(int argc, char **argv)
{
	uint64_t count = 1000, seed = 1;
	const char *what = argc > 1 ? argv[1] : "", *out = NULL;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
			count = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
			out = argv[++i];
		else if (n_files < FILES_MAX)
			file_open(&files[n_files++], argv[i]);
	}
	if (n_files == 0)
		fatal("usage", "mutate cut|flip|random [--count N] [--seed S] [--out DIR] FILE...");
	for (unsigned i = 0; i < n_files && strcmp(what, "cut") == 0; i++)
		cut_all(&files[i]);
	for (unsigned i = 0; i < n_files && strcmp(what, "flip") == 0; i++)
		flip_all(&files[i]);
	if (strcmp(what, "random") == 0)
		mutate_all(count, seed, out);
	printf("1..%u\n", n_cases);
	for (unsigned i = 0; i < n_files; i++) {
		pieces_free(files[i].pieces);
		free(files[i].bytes);
	}
	return bad || n_cases == 0 ? 1 : 0;
}
