/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote packed here and unpacked there, where nobody is trusted: everything that may be wrong with
 * its bytes and its files is refused, and none of the files stays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/held.h"
#include "unit/life/made_zygote.h"

enum { MORE_ROOM = 4096 };

/* ---- on its way ---- */

/* What is sent: duplicates of its files, and bytes that can be changed. */
struct sent {
	fd_t fd[ZYGOTE_FILES_MAX + 1];
	uint32_t n;
	uint8_t *bytes;
	size_t len;
	struct parcel parcel;
	uint8_t *maps;
};

static void sent_files(struct sent *s, struct zygote *z)
{
	struct zygote_files files;
	struct diag d = DIAG_INIT;

	must(zygote_pack(z, &d, &files), &d);
	s->n = files.n;
	for (uint32_t i = 0; i < files.n; i++)
		s->fd[i] = (fd_t){ fcntl(files.fd[i], F_DUPFD_CLOEXEC, 0) };
}

static struct sent *sent_new(struct zygote *z)
{
	struct sent *s = calloc(1, sizeof *s);
	struct diag d = DIAG_INIT;

	assert_non_null(s);
	sent_files(s, z);
	s->len = (size_t)lseek(s->fd[0].raw, 0, SEEK_END);
	s->bytes = malloc(s->len);
	assert_non_null(s->bytes);
	assert_int_equal(pread(s->fd[0].raw, s->bytes, s->len, 0), s->len);
	must(parcel_parse(cur_of(s->bytes, s->len), &d, &s->parcel), &d);
	assert_int_equal(s->n, 1 + parcel_descriptors(&s->parcel));
	return s;
}

static void seal(int memfd)
{
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
}

static fd_t memfd_of(const void *bytes, size_t n)
{
	fd_t f = { memfd_create("sent", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

	assert_int_equal(write(f.raw, bytes, n), n);
	return f;
}

/* The bytes again, from what the parcel says now. */
static void write_again(struct sent *s)
{
	size_t room = parcel_room(&s->parcel) + MORE_ROOM;
	uint8_t *bytes = malloc(room);
	struct out o = out_of(bytes, room);

	assert_non_null(bytes);
	parcel_encode(&o, &s->parcel);
	assert_false(failed(out_done(&o)));
	fd_drop(&s->fd[0]);
	s->fd[0] = memfd_of(bytes, o.len);
	seal(s->fd[0].raw);
	free(bytes);
}

static void sent_drop(struct sent *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		fd_drop(&s->fd[i]);
	parcel_clear(&s->parcel);
	free(s->bytes);
	free(s);
}

/* ---- as it should be ---- */

static void there_and_back(void **state)
{
	struct zygote *z = zygote_new(), *back = NULL;
	struct sent *s = sent_new(z), *again;
	struct diag d = DIAG_INIT;
	uint8_t text[5];

	(void)state;
	must(zygote_unpack(s->fd, s->n, &d, &back), &d);
	assert_memory_equal(&back->id, &z->id, sizeof z->id);
	assert_int_equal(back->front_len, z->front_len);
	assert_memory_equal(back->front, z->front, z->front_len);
	must(ram_base_read(back->ram, BYTES(0), text, 5, &d), &d);
	assert_memory_equal(text, "begin", 5);
	/* It says of itself what was said of it. */
	again = sent_new(back);
	assert_int_equal(again->len, s->len);
	assert_memory_equal(again->bytes, s->bytes, s->len);
	sent_drop(again);
	sent_drop(s);
	zygote_free(back);
	zygote_free(z);
}

static void packed_once(void **state)
{
	struct zygote *z = zygote_new();
	struct zygote_files a, b;
	struct diag d = DIAG_INIT;
	int before;

	(void)state;
	must(zygote_pack(z, &d, &a), &d);
	before = entries_of("/proc/self/fd");
	must(zygote_pack(z, &d, &b), &d);
	assert_int_equal(entries_of("/proc/self/fd"), before);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.fd, b.fd, a.n * sizeof a.fd[0]);
	zygote_free(z);
}

/* ---- as it should not be ---- */

static fd_t opened(const char *path)
{
	return (fd_t){ open(path, O_RDONLY | O_CLOEXEC) };
}

static void replace(struct sent *s, uint32_t i, fd_t with)
{
	fd_drop(&s->fd[i]);
	s->fd[i] = with;
}

/* Where the files of the disk in COW_SLOT are: after the bytes, RAM's one, and two disks. */
enum { STATE_FILE = 0, RAM_FILE = 1, DISK0_FILE = 2, COW_BASE = 4, COW_LAYER = 5 };

static void no_state(struct sent *s) { s->n = 0; }
static void one_less(struct sent *s) { fd_drop(&s->fd[--s->n]); }
static void one_more(struct sent *s) { s->fd[s->n++] = opened("/dev/null"); }
static void state_not_sealed(struct sent *s) { replace(s, 0, memfd_of(s->bytes, s->len)); }
static void state_not_memory(struct sent *s) { replace(s, 0, opened("/dev/null")); }
static void state_empty(struct sent *s)
{
	replace(s, 0, memfd_of("", 0));
	seal(s->fd[0].raw);
}
static void state_cut(struct sent *s)
{
	replace(s, 0, memfd_of(s->bytes, s->len - 1));
	seal(s->fd[0].raw);
}
static void ram_not_sealed(struct sent *s)
{
	fd_t f = memfd_of("", 0);

	assert_int_equal(ftruncate(f.raw, lseek(s->fd[RAM_FILE].raw, 0, SEEK_END)), 0);
	replace(s, RAM_FILE, f);
}
static void ram_not_memory(struct sent *s) { replace(s, RAM_FILE, opened("/dev/zero")); }
static void ram_short(struct sent *s)
{
	fd_t f = memfd_of("", 0);

	assert_int_equal(ftruncate(f.raw, 4096), 0);
	seal(f.raw);
	replace(s, RAM_FILE, f);
}
static void piece_beyond(struct sent *s) { s->parcel.pieces.e[0].at.v = MIB(32); }
static void piece_wraps(struct sent *s) { s->parcel.pieces.e[0].at.v = UINT64_MAX - 4095; }
static void piece_not_whole(struct sent *s) { s->parcel.pieces.e[0].at.v = 1; }
static void piece_later(struct sent *s) { s->parcel.pieces.e[0].offset.v += 4096; }
static void piece_empty(struct sent *s) { s->parcel.pieces.e[0].len.v = 0; }
static void piece_longer(struct sent *s) { s->parcel.pieces.e[0].len.v += 4096; }
static void piece_odd(struct sent *s) { s->parcel.pieces.e[0].len.v -= 1; }
static void pieces_end(struct sent *s) { s->parcel.pieces.n--; }
static void pieces_none(struct sent *s) { s->parcel.pieces.n = 0; }
static void front_cut(struct sent *s) { s->parcel.front.end -= 8; }
static void front_spoilt(struct sent *s)
{
	/* It lies in bytes that are ours. */
	((uint8_t *)(uintptr_t)s->parcel.front.at)[cur_left(&s->parcel.front) / 2] ^= 1;
}
static void total_other(struct sent *s) { s->parcel.total.v += 4096; }
static void disk_missing(struct sent *s)
{
	s->parcel.n_disks--;
	fd_drop(&s->fd[--s->n]);
}
static void disk_elsewhere(struct sent *s) { s->parcel.disks[3].slot = 4; }
static void disk_larger(struct sent *s) { s->parcel.disks[0].capacity.v += 512; }
static void base_short(struct sent *s) { replace(s, DISK0_FILE, memfd_of("short", 5)); }
static void base_no_disk(struct sent *s) { replace(s, DISK0_FILE, opened("/dev/null")); }
static void base_folder(struct sent *s) { replace(s, COW_BASE, opened("/")); }
static void layer_short(struct sent *s) { replace(s, COW_LAYER, memfd_of("short", 5)); }
static void clusters_odd(struct sent *s) { s->parcel.disks[COW_SLOT].cluster += 512; }
static void clusters_small(struct sent *s) { s->parcel.disks[COW_SLOT].cluster = 256; }
static void clusters_other(struct sent *s) { s->parcel.disks[COW_SLOT].cluster *= 8; }
static void clusters_large(struct sent *s) { s->parcel.disks[COW_SLOT].cluster = 4 << 20; }
static void map_short(struct sent *s) { s->parcel.disks[COW_SLOT].map_len -= 1; }

struct fault {
	const char *name;
	void (*make)(struct sent *s);
	enum err_code code;
	const char *words;
};

#define F(name, code, words) { #name, name, code, words }
static const struct fault faults[] = {
	F(no_state, ERR_MISSING, "descriptors"),
	F(one_less, ERR_SIZE, "descriptors: are 5, expected 6"),
	F(one_more, ERR_SIZE, "descriptors: are 7, expected 6"),
	F(state_not_sealed, ERR_STATE, "a zygote's state is not sealed"),
	F(state_not_memory, ERR_STATE, "a zygote's state is not sealed"),
	F(state_empty, ERR_SIZE, "a zygote's state is 0 bytes"),
	F(state_cut, ERR_TRUNCATED, "front"),
	F(ram_not_sealed, ERR_STATE, "memory that is to be shared is not sealed"),
	F(ram_not_memory, ERR_STATE, "memory that is to be shared is not sealed"),
	F(ram_short, ERR_RANGE, "lie outside their files"),
	F(piece_beyond, ERR_RANGE, "lie outside their files"),
	F(piece_wraps, ERR_RANGE, "lie outside their files"),
	F(piece_not_whole, ERR_RANGE, "lie outside their files"),
	F(piece_later, ERR_RANGE, "do not cover"),
	F(piece_empty, ERR_RANGE, "do not cover"),
	F(piece_longer, ERR_RANGE, ""),
	F(piece_odd, ERR_RANGE, "do not cover"),
	F(pieces_end, ERR_RANGE, "end at"),
	F(pieces_none, ERR_RANGE, "end at 0"),
	F(front_cut, ERR_TRUNCATED, ""),
	F(front_spoilt, ERR_CHECKSUM, ""),
	F(total_other, ERR_TRAILING, "header.total"),
	F(disk_missing, ERR_DEVICE, "are not the disks of the machine"),
	F(disk_elsewhere, ERR_DEVICE, "are not the disks of the machine"),
	F(disk_larger, ERR_DEVICE, "are not the disks of the machine"),
	F(base_short, ERR_DISK, "a disk's base holds 5 bytes"),
	F(base_no_disk, ERR_DISK, "a disk's base"),
	F(base_folder, ERR_DISK, "a disk's base"),
	F(layer_short, ERR_DISK, "a disk's layer holds 5 bytes"),
	F(clusters_odd, ERR_DEVICE, "disk.map_len"),
	F(clusters_small, ERR_DEVICE, "disk.map_len"),
	F(clusters_other, ERR_DEVICE, "disk.map_len"),
	F(clusters_large, ERR_DEVICE, "disk.map_len"),
	F(map_short, ERR_DEVICE, "disk.map_len"),
};
#undef F

static bool changes_files(const struct fault *f)
{
	return f->make == no_state || f->make == one_less || f->make == one_more ||
	       f->make == state_not_sealed || f->make == state_not_memory ||
	       f->make == state_empty || f->make == state_cut;
}

static void one_fault(struct zygote *z, const struct fault *f)
{
	int before = entries_of("/proc/self/fd");
	struct sent *s = sent_new(z);
	struct zygote *back = NULL;
	struct diag d = DIAG_INIT;
	uint32_t all = s->n;
	err_t e;

	f->make(s);
	if (!changes_files(f))
		write_again(s);
	e = zygote_unpack(s->fd, s->n, &d, &back);
	if (e.code != f->code || strstr(d.text, f->words) == NULL)
		fail_msg("%s: %s: \"%s\"", f->name, err_name(e.code), d.text);
	assert_null(back);
	for (uint32_t i = 0; i < s->n; i++)
		assert_false(fd_is_open(s->fd[i]));
	s->n = all > s->n ? all : s->n; /* what the fault kept back */
	sent_drop(s);
	assert_int_equal(entries_of("/proc/self/fd"), before);
}

static void refusals(void **state)
{
	struct zygote *z = zygote_new();
	struct zygote_files files;
	struct diag d = DIAG_INIT;

	(void)state;
	must(zygote_pack(z, &d, &files), &d);
	for (size_t i = 0; i < countof(faults); i++)
		one_fault(z, &faults[i]);
	zygote_free(z);
}

/* Each byte before the front, which has checksums of its own: refused, or taken for what it says; the
 * files are gone either way. */
static void every_byte(void **state)
{
	struct zygote *z = zygote_new();
	struct sent *s = sent_new(z);
	size_t n = s->len - cur_left(&s->parcel.front);
	int before = entries_of("/proc/self/fd");

	(void)state;
	for (size_t at = 0; at < n; at += 1 + at / 512) {
		struct sent *t = calloc(1, sizeof *t);
		struct zygote *back = NULL;
		struct diag d = DIAG_INIT;

		assert_non_null(t);
		sent_files(t, z);
		s->bytes[at] ^= 0x5A;
		replace(t, 0, memfd_of(s->bytes, s->len));
		s->bytes[at] ^= 0x5A;
		seal(t->fd[0].raw);
		if (failed(zygote_unpack(t->fd, t->n, &d, &back)))
			assert_true(d.text[0] != '\0');
		zygote_free(back);
		free(t);
		assert_int_equal(entries_of("/proc/self/fd"), before);
	}
	sent_drop(s);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(packed_once, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(refusals, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(every_byte, place_setup, place_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
