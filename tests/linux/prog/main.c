/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: one static binary, one program per name it is called by; see prop.h.  With --list it
 * prints the names.
 */
#include "prop.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *prop_name;
static char *order_page;

static void say(const char *verdict, const char *format, va_list args)
{
	char line[512];
	int n = snprintf(line, sizeof line, "%s: %s", prop_name, verdict);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(1);
}

void prop_say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void prop_ok(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say("ok ", format, args);
	va_end(args);
	exit(0);
}

void prop_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say("FAIL ", format, args);
	va_end(args);
	exit(1);
}

_Noreturn void prop_fail_errno(const char *call)
{
	prop_fail("%s: %s", call, strerror(errno));
}

const volatile char *prop_order_page(void)
{
	return order_page;
}

void prop_order(char ret_order[PROP_ORDER_MAX])
{
	const volatile char *page = order_page;
	size_t n = 0;
	while (n < PROP_ORDER_MAX - 1 && page[n] != '\n') {
		if (page[n] == '\0')
			prop_pause_ms(20);
		else
			n++;
	}
	memcpy(ret_order, order_page, n);
	ret_order[n] = '\0';
	memset(order_page, 0, PROP_ORDER_MAX);
}

bool prop_told_to_spoil(void)
{
	char order[PROP_ORDER_MAX];
	prop_order(order);
	if (strcmp(order, "go") != 0 && strcmp(order, "spoil") != 0)
		prop_fail("order \"%s\" is neither go nor spoil", order);
	return order[0] == 's';
}

unsigned long prop_number(int argc, char **argv, unsigned long fallback)
{
	if (argc < 2)
		return fallback;
	char *end;
	unsigned long n = strtoul(argv[1], &end, 10);
	if (*end != '\0' || n == 0)
		prop_fail("\"%s\" is not a positive number", argv[1]);
	return n;
}

unsigned prop_cpus(void)
{
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

void prop_pin(unsigned cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	PROP_NEED(sched_setaffinity(0, sizeof set, &set) == 0);
}

uint64_t prop_now_ns(int clock)
{
	struct timespec t;
	PROP_NEED(clock_gettime(clock, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void prop_pause_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	while (nanosleep(&t, &t) != 0)
		;
}

/* splitmix64 */
uint64_t prop_pattern(uint64_t index)
{
	uint64_t z = (index + 1) * 0x9E3779B97F4A7C15;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

static void order_page_map(void)
{
	char path[64];
	snprintf(path, sizeof path, "/run/%s.order", prop_name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	PROP_NEED(fd >= 0);
	PROP_NEED(ftruncate(fd, 4096) == 0);
	order_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	PROP_NEED(order_page != MAP_FAILED);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
#define X(name) puts(#name);
		PROP_TABLE(X)
#undef X
		return 0;
	}
	const char *slash = strrchr(argv[0], '/');
	prop_name = slash ? slash + 1 : argv[0];
	order_page_map();
#define X(name) \
	if (strcmp(prop_name, #name) == 0) \
		return name##_main(argc, argv);
	PROP_TABLE(X)
#undef X
	prop_fail("there is no such program");
}
