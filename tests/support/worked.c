/* SPDX-License-Identifier: Apache-2.0 */
#include "support/worked.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/jailed.h"

enum { PATIENCE_S = 100, LINE_ROOM = 1200 };

struct home {
	struct worker_kit *kit;
	char program[PATH_MAX];
};

struct worked {
	struct worker *worker;
	uint64_t at; /* of the board: where the line begins that is not taken yet */
	char line[LINE_ROOM];
};

static const struct identity as_it_is;

static void must(err_t e, const struct diag *d, const char *what)
{
	if (failed(e))
		fail_msg("%s: %s (%s)", what, d->text, err_name(e.code));
}

extern void __asan_init(void) __attribute__((weak));

bool sanitized(void)
{
	return __asan_init != NULL;
}

static void find_program(struct home *h)
{
	ssize_t n = readlink("/proc/self/exe", h->program, sizeof h->program - 64);

	/* BUILD/tests/THIS */
	assert_true(n > 0);
	h->program[n] = '\0';
	for (int up = 0; up < 2; up++)
		*strrchr(h->program, '/') = '\0';
	strncat(h->program, "/spore-worker", 63);
}

struct home *home_new(const struct image *like)
{
	struct worker_kit_options o;
	struct diag d = DIAG_INIT;
	struct home *h;

	jails_needed();
	h = calloc(1, sizeof *h);
	assert_non_null(h);
	find_program(h);
	o = (struct worker_kit_options){
		.program = h->program, .cgroup = -1,
		.without = sanitized() ? JAIL_WITHOUT(JAIL_SECCOMP) : 0,
	};
	must(worker_kit_new(like, &o, &d, &h->kit), &d, "kit");
	return h;
}

void home_free(struct home *h)
{
	worker_kit_free(h->kit);
	free(h);
}

struct worker_kit *home_kit(const struct home *h)
{
	return h->kit;
}

const char *home_program(const struct home *h)
{
	return h->program;
}

/* ---- its life ---- */

struct worked *worked_start(struct home *h, struct zygote *z)
{
	struct worked *w = calloc(1, sizeof *w);
	struct diag d = DIAG_INIT;

	assert_non_null(w);
	must(worker_start(h->kit, z, &d, &w->worker), &d, "start");
	return w;
}

struct worked *worked_of(struct worker *worker)
{
	struct worked *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->worker = worker;
	return w;
}

void worked_ready(struct worked *w)
{
	struct diag d = DIAG_INIT;

	must(worker_ready(w->worker, &d), &d, "ready");
}

void worked_spawn(struct worked *w, struct zygote *z, bool run)
{
	struct diag d = DIAG_INIT;

	must(worker_spawn(w->worker, z, &as_it_is, run, &d), &d, "spawn");
}

struct worked *worked_child(struct home *h, struct zygote *z)
{
	struct worked *w = worked_start(h, z);

	worked_spawn(w, z, true);
	return w;
}

void worked_free(struct worked *w)
{
	if (w == NULL)
		return;
	worker_free(w->worker);
	free(w);
}

struct worker *worked_worker(struct worked *w)
{
	return w->worker;
}

void worked_pause(struct worked *w)
{
	struct diag d = DIAG_INIT;

	must(worker_pause(w->worker, &d), &d, "pause");
}

void worked_resume(struct worked *w)
{
	struct diag d = DIAG_INIT;

	must(worker_resume(w->worker, &d), &d, "resume");
}

struct zygote *worked_freeze(struct worked *w, bool running)
{
	struct zygote *z = NULL;
	struct diag d = DIAG_INIT;

	if (running)
		worked_pause(w);
	must(worker_freeze(w->worker, &d, &z), &d, "freeze");
	worked_free(w);
	return z;
}

/* ---- what it says and is told ---- */

static bool take_line(struct worked *w)
{
	uint64_t from;
	size_t n = board_read(worker_board(w->worker), w->at, w->line, sizeof w->line - 1, &from);
	char *end = memchr(w->line, '\n', n);

	assert_true(from == w->at);
	if (end == NULL)
		return false;
	*end = '\0';
	w->at += (uint64_t)(end - w->line) + 1;
	return true;
}

static void wait_for_more(struct worked *w)
{
	struct pollfd p[2] = {
		{ .fd = worker_board(w->worker)->event.raw, .events = POLLIN },
		{ .fd = worker_socket(w->worker), .events = POLLIN },
	};

	if (poll(p, 2, PATIENCE_S * 1000) < 1)
		fail_msg("nothing came in %d s", PATIENCE_S);
}

const char *worked_line(struct worked *w)
{
	struct diag d = DIAG_INIT;

	while (!take_line(w)) {
		enum vm_outcome o = worker_outcome(w->worker, &d);

		/* Its last words may have come in between. */
		if (o != VM_NONE && take_line(w))
			return w->line;
		if (o != VM_NONE)
			fail_msg("it ended while something was expected of it: %s: %s",
				 vm_outcome_text(o), d.text);
		wait_for_more(w);
	}
	return w->line;
}

const char *worked_answer(struct worked *w)
{
	const char *line = worked_line(w);

	if (strncmp(line, "ok", 2) != 0)
		fail_msg("the guest says: %s", line);
	return line;
}

static void tell(struct worked *w, const char *format, va_list args)
{
	struct diag d = DIAG_INIT;
	uint8_t line[LINE_ROOM];
	size_t n = (size_t)vsnprintf((char *)line, sizeof line - 1, format, args), taken;

	assert_true(n < sizeof line - 1);
	line[n++] = '\n';
	for (size_t at = 0; at < n; at += taken)
		must(worker_input(w->worker, line + at, n - at, &d, &taken), &d, "input");
}

void worked_tell(struct worked *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(w, format, args);
	va_end(args);
}

const char *worked_ask(struct worked *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(w, format, args);
	va_end(args);
	return worked_answer(w);
}

struct diag worked_ends(struct worked *w, enum vm_outcome outcome)
{
	struct pollfd p = { .fd = worker_socket(w->worker), .events = POLLIN };
	struct diag d = DIAG_INIT;
	enum vm_outcome is;

	while ((is = worker_outcome(w->worker, &d)) == VM_NONE)
		if (poll(&p, 1, PATIENCE_S * 1000) < 1)
			fail_msg("it did not end in %d s", PATIENCE_S);
	if (is != outcome)
		fail_msg("ended as %s, expected %s: %s", vm_outcome_text(is),
			 vm_outcome_text(outcome), d.text);
	return d;
}

/* ---- processes ---- */

static bool sleeps(pid_t pid, const char *name)
{
	char path[64], line[256];
	bool asleep = false;
	struct dirent *e;
	DIR *tasks;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	(void)snprintf(path, sizeof path, "(%s) S", name);
	while (tasks != NULL && !asleep && (e = readdir(tasks)) != NULL) {
		owned_fd task = { openat(dirfd(tasks), e->d_name, O_PATH | O_CLOEXEC) };
		owned_fd stat = { openat(task.raw, "stat", O_RDONLY | O_CLOEXEC) };
		ssize_t n = read(stat.raw, line, sizeof line - 1);

		line[n < 0 ? 0 : n] = '\0';
		asleep = strstr(line, path) != NULL;
	}
	if (tasks != NULL)
		(void)closedir(tasks);
	return asleep;
}

void thread_sleeps(pid_t pid, const char *name)
{
	uint64_t start = now_ns();

	while (!sleeps(pid, name)) {
		if (now_ns() - start > PATIENCE_S * UINT64_C(1000000000))
			fail_msg("%s of %d does not sleep", name, (int)pid);
		(void)usleep(1000);
	}
}

static bool is_nursery(int pid)
{
	char path[64], name[32] = "";
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f == NULL || fgets(name, sizeof name, f) == NULL)
		name[0] = '\0';
	if (f != NULL)
		(void)fclose(f);
	return strcmp(name, "spore-nursery\n") == 0;
}

static int children_count(bool nurseries, pid_t *ret_last)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int n = 0;
	pid_t pid;

	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1) {
		if (is_nursery(pid) != nurseries)
			continue;
		n++;
		*ret_last = pid;
	}
	(void)fclose(f);
	return n;
}

int children_now(void)
{
	pid_t last;

	return children_count(false, &last);
}

pid_t nursery_now(void)
{
	pid_t pid = 0;

	assert_int_equal(children_count(true, &pid), 1);
	return pid;
}
