/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's board: what is written is read, in order and once; what is lost is said; and whatever the
 * worker's side holds, the reader stays within its bounds. */
#include "life/worker_board.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "support/test.h"

enum { ROUNDS = 2500 };

struct sides { struct board reader, writer; };

static struct sides sides_new(void)
{
	struct sides s = { 0 };
	struct diag d = DIAG_INIT;
	fd_t memfd, event;

	assert_false(failed(board_new(&d, &s.reader)));
	memfd = (fd_t){ dup(s.reader.memfd.raw) };
	event = (fd_t){ dup(s.reader.event.raw) };
	assert_false(failed(board_open(&memfd, &event, &d, &s.writer)));
	return s;
}

static void sides_drop(struct sides *s)
{
	board_drop(&s->reader);
	board_drop(&s->writer);
}

static bool is_signalled(const struct sides *s)
{
	struct pollfd p = { .fd = s->reader.event.raw, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void written_is_read(void **state)
{
	struct sides s = sides_new();
	uint8_t got[16];
	uint64_t from;

	(void)state;
	assert_int_equal(board_read(&s.reader, 0, got, sizeof got, &from), 0);
	assert_int_equal(from, 0);
	assert_false(is_signalled(&s));
	board_write(&s.writer, (const uint8_t *)"hello", 5);
	assert_true(is_signalled(&s));
	assert_int_equal(board_read(&s.reader, 0, got, 3, &from), 3);
	assert_memory_equal(got, "hel", 3);
	assert_true(is_signalled(&s)); /* there is more */
	assert_int_equal(board_read(&s.reader, 3, got, sizeof got, &from), 2);
	assert_int_equal(from, 3);
	assert_memory_equal(got, "lo", 2);
	assert_false(is_signalled(&s));
	/* From a position that is not yet. */
	assert_int_equal(board_read(&s.reader, 99, got, sizeof got, &from), 0);
	assert_int_equal(from, 5);
	assert_int_equal(board_entered(&s.reader), 0);
	board_ran(&s.writer, 7, 9);
	assert_int_equal(board_entered(&s.reader), 7);
	assert_int_equal(board_exited(&s.reader), 9);
	sides_drop(&s);
}

static void the_oldest_goes(void **state)
{
	static uint8_t bytes[2 * BOARD_KEPT + 11], got[2 * BOARD_KEPT];
	struct sides s = sides_new();
	uint64_t from;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	board_write(&s.writer, bytes, sizeof bytes);
	assert_int_equal(board_read(&s.reader, 0, got, sizeof got, &from), BOARD_KEPT);
	assert_int_equal(from, sizeof bytes - BOARD_KEPT);
	assert_memory_equal(got, bytes + from, BOARD_KEPT);
	sides_drop(&s);
}

/* The length is fixed by now, from either side. */
static void cannot_be_cut(void **state)
{
	struct board b = { 0 };
	struct diag d = DIAG_INIT;
	struct stat st;

	(void)state;
	assert_false(failed(board_new(&d, &b)));
	assert_int_equal(fstat(b.memfd.raw, &st), 0);
	assert_int_equal(ftruncate(b.memfd.raw, 0), -1);
	assert_int_equal(ftruncate(b.memfd.raw, st.st_size + 1), -1);
	board_drop(&b);
}

/* The next supervisor has the descriptors alone, and sees what was written before. */
static void handed_on(void **state)
{
	struct sides s = sides_new();
	struct board next = { .memfd = { dup(s.reader.memfd.raw) },
			      .event = { dup(s.reader.event.raw) } };
	struct diag d = DIAG_INIT;
	uint8_t got[16];
	uint64_t from;

	(void)state;
	board_write(&s.writer, (const uint8_t *)"hello", 5);
	board_drop(&s.reader);
	assert_false(failed(board_adopt(&next, &d)));
	board_write(&s.writer, (const uint8_t *)" you", 4);
	assert_int_equal(board_read(&next, 0, got, sizeof got, &from), 9);
	assert_memory_equal(got, "hello you", 9);
	s.reader = next;
	sides_drop(&s);
}

/* Neither one that can still be cut nor one that is too short is mapped. */
static void not_a_board(void **state)
{
	static const struct { int seals; off_t len; } wrong[] = {
		{ 0, 1 << 20 }, { F_SEAL_GROW, 1 << 20 }, { F_SEAL_SHRINK, BOARD_KEPT },
		{ F_SEAL_SHRINK, 0 },
	};

	(void)state;
	for (size_t i = 0; i < countof(wrong); i++) {
		struct board b = { .memfd = { memfd_create("no-board", MFD_ALLOW_SEALING) },
				   .event = FD_NONE };
		struct diag d = DIAG_INIT;

		assert_int_equal(ftruncate(b.memfd.raw, wrong[i].len), 0);
		assert_int_equal(fcntl(b.memfd.raw, F_ADD_SEALS, wrong[i].seals), 0);
		assert_int_equal(board_adopt(&b, &d).code, ERR_STATE);
		assert_string_equal(d.text, "a worker's board is none");
		assert_null(b.map.base);
		board_drop(&b);
	}
}

/* Every word of the board holds something impossible. */
static void hostile_totals(void **state)
{
	static const uint64_t totals[] = {
		1, BOARD_KEPT - 1, BOARD_KEPT, BOARD_KEPT + 1, UINT32_MAX, INT64_MAX,
		UINT64_MAX - BOARD_KEPT, UINT64_MAX - 1, UINT64_MAX,
	};
	static const size_t caps[] = { 0, 1, 100, BOARD_KEPT, 2 * BOARD_KEPT };
	struct sides s = sides_new();

	(void)state;
	for (size_t i = 0; i < countof(totals); i++) {
		for (size_t c = 0; c < countof(caps); c++) {
			for (size_t f = 0; f < countof(totals); f++) {
				/* Exactly its bytes, so that a sanitizer sees one too far. */
				uint8_t *got = malloc(caps[c] + (caps[c] == 0));
				uint64_t from;
				size_t n;

				assert_non_null(got);
				memset(s.writer.map.base, (int)f, 64);
				memcpy(s.writer.map.base, &totals[i], sizeof totals[i]);
				n = board_read(&s.reader, totals[f], got, caps[c], &from);
				assert_in_range(n, 0, caps[c]);
				assert_in_range(n, 0, BOARD_KEPT);
				assert_true(from <= totals[i] && n <= totals[i] - from);
				free(got);
			}
		}
	}
	sides_drop(&s);
}

/* It signals, and says that nobody need be told: whoever has read all is left alone. */
static void hostile_signal(void **state)
{
	struct sides s = sides_new();
	uint8_t got[16];
	uint64_t from;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(eventfd_write(s.writer.event.raw, 7), 0);
		assert_true(is_signalled(&s));
		assert_int_equal(board_read(&s.reader, 0, got, sizeof got, &from), 0);
		assert_false(is_signalled(&s));
	}
	board_write(&s.writer, (const uint8_t *)"hello", 5);
	assert_true(is_signalled(&s));
	sides_drop(&s);
}

/* ---- at the same time ---- */

struct writing { struct board *board; int lines; };

static void *write_lines(void *arg)
{
	struct writing *w = arg;
	uint8_t line[64];

	for (int i = 0; i < w->lines; i++) {
		size_t n = (size_t)snprintf((char *)line, sizeof line, "line %d of them\n", i);

		board_write(w->board, line, n);
	}
	return NULL;
}

/* Whoever waits for the event alone sees all of it. */
static void reader_and_writer(void **state)
{
	struct sides s = sides_new();
	struct writing w = { &s.writer, ROUNDS };
	size_t want = 0, done = 0;
	uint8_t *expected = malloc((size_t)ROUNDS * 64);
	pthread_t thread;

	(void)state;
	assert_non_null(expected);
	for (int i = 0; i < ROUNDS; i++)
		want += (size_t)snprintf((char *)expected + want, 64, "line %d of them\n", i);
	assert_true(want < BOARD_KEPT); /* nothing is lost, however slow this is */
	assert_int_equal(pthread_create(&thread, NULL, write_lines, &w), 0);
	while (done < want) {
		struct pollfd p = { .fd = s.reader.event.raw, .events = POLLIN };
		uint8_t got[333];
		uint64_t from;
		size_t n = board_read(&s.reader, done, got, sizeof got, &from);

		assert_true(from == done);
		assert_memory_equal(got, expected + done, n);
		done += n;
		if (done < want && n == 0)
			assert_int_equal(poll(&p, 1, 100000), 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	free(expected);
	sides_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_is_read), cmocka_unit_test(the_oldest_goes),
		cmocka_unit_test(cannot_be_cut),   cmocka_unit_test(hostile_totals),
		cmocka_unit_test(reader_and_writer), cmocka_unit_test(handed_on),
		cmocka_unit_test(not_a_board),       cmocka_unit_test(hostile_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
