/* SPDX-License-Identifier: Apache-2.0 */
/* The console's memory: what is kept, what a late reader is told, who is woken, and a reader that
 * does not keep up. */
#include "edge/lib/console.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "support/test.h"

static struct console c;

static void begin(int out_fd)
{
	struct spore_machine_options o = SPORE_MACHINE_OPTIONS_INIT;

	o.console_fd = out_fd;
	assert_false(failed(console_init(&c, &o, NULL)));
}

static void write_text(const char *text)
{
	console_write(&c, (const uint8_t *)text, strlen(text));
}

static bool woken(void)
{
	struct pollfd p = { .fd = c.event.raw, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void read_on(void **state)
{
	char text[64];
	uint64_t from;

	(void)state;
	begin(-1);
	assert_int_equal(console_read(&c, 0, text, sizeof text, &from), 0);
	write_text("hello");
	assert_int_equal(console_read(&c, 0, text, sizeof text, &from), 5);
	assert_int_equal(from, 0);
	assert_memory_equal(text, "hello", 5);
	write_text(" you");
	assert_int_equal(console_read(&c, 5, text, 2, &from), 2);
	assert_memory_equal(text, " y", 2);
	assert_int_equal(console_read(&c, 7, text, sizeof text, &from), 2);
	assert_int_equal(from, 7);
	assert_memory_equal(text, "ou", 2);
	assert_int_equal(console_read(&c, 1000, text, sizeof text, &from), 0);
	assert_int_equal(from, 9);
	console_fini(&c);
}

static void oldest_go(void **state)
{
	static uint8_t all[3 * CONSOLE_KEPT], kept[CONSOLE_KEPT + 1];
	uint64_t from;

	(void)state;
	begin(-1);
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t done = 0; done < sizeof all; done += 1000)
		console_write(&c, all + done, sizeof all - done < 1000 ? sizeof all - done : 1000);
	assert_int_equal(console_read(&c, 0, kept, sizeof kept, &from), CONSOLE_KEPT);
	assert_int_equal(from, 2 * CONSOLE_KEPT);
	assert_memory_equal(kept, all + 2 * CONSOLE_KEPT, CONSOLE_KEPT);
	/* more than is kept, at once */
	console_write(&c, all, sizeof all);
	assert_int_equal(console_read(&c, 0, kept, sizeof kept, &from), CONSOLE_KEPT);
	assert_int_equal(from, 5 * CONSOLE_KEPT);
	assert_memory_equal(kept, all + 2 * CONSOLE_KEPT, CONSOLE_KEPT);
	console_fini(&c);
}

static void wake_ups(void **state)
{
	char text[64];
	uint64_t from;

	(void)state;
	begin(-1);
	assert_false(woken());
	write_text("a");
	assert_true(woken());
	/* not everything was read: still to be read */
	write_text("b");
	assert_int_equal(console_read(&c, 0, text, 1, &from), 1);
	assert_true(woken());
	assert_int_equal(console_read(&c, 1, text, sizeof text, &from), 1);
	assert_false(woken());
	write_text("c");
	assert_true(woken());
	console_fini(&c);
}

static void *writer(void *text)
{
	write_text(text);
	return NULL;
}

/* A pipe that is full holds up the guest, and a machine that is to be paused is not held up. */
static void slow_reader(void **state)
{
	static char text[2 * 65536 + 1];
	static char got[sizeof text];
	size_t n = 0;
	pthread_t thread;
	int ends[2];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	assert_int_equal(pipe(ends), 0);
	begin(ends[1]);
	assert_int_equal(pthread_create(&thread, NULL, writer, text), 0);
	while (n < sizeof text - 1) {
		ssize_t r = read(ends[0], got + n, sizeof got - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_memory_equal(got, text, n);

	console_hurry(&c);
	write_text(text); /* returns, or the test hangs */
	console_calm(&c);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	assert_true(read(ends[0], got, sizeof got) > 0);

	assert_int_equal(close(ends[0]), 0);
	write_text("nobody reads this");
	assert_int_equal(atomic_load(&c.out_fd), -1);
	assert_int_equal(close(ends[1]), 0);
	console_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_on),
		cmocka_unit_test(oldest_go),
		cmocka_unit_test(wake_ups),
		cmocka_unit_test(slow_reader),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
