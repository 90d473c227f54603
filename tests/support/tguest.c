/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tguest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longer than anything takes, on a host that is overloaded and with sanitizers. */
enum { PATIENCE_S = 100, SLICE_MS = 50, LINE_ROOM = 1200, TRIES = 20000 };

struct guest {
	spore_machine *m;
	pthread_mutex_t lock;
	pthread_cond_t came;
	char *text;         /* said and not taken; guarded by lock */
	size_t len, room;
	char *frozen;       /* what was not taken when it was last frozen */
	size_t frozen_len;
	char line[LINE_ROOM];
};

void spore_must(int status, const struct spore_error *err, const char *what)
{
	if (status != SPORE_OK)
		fail_msg("%s: %s (%s)", what, err->text, spore_status_name(status));
}

const char *guest_kernel(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);

	/* BUILD/tests/THIS */
	assert_true(n > 0);
	path[n] = '\0';
	for (int up = 0; up < 2; up++)
		*strrchr(path, '/') = '\0';
	strncat(path, "/guest/tguest.elf", 63);
	return path;
}

struct spore_config guest_config(void)
{
	struct spore_config c = SPORE_CONFIG_INIT;

	c.kernel = guest_kernel();
	c.cmdline = "";
	return c;
}

static void need_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		print_message("/dev/kvm cannot be opened: %s\n", strerror(errno));
		skip();
	}
	(void)close(fd);
}

/* ---- what it says ---- */

static void append(struct guest *g, const void *bytes, size_t n)
{
	if (g->len + n > g->room) {
		g->room = (g->len + n) * 2;
		g->text = realloc(g->text, g->room);
		if (g->text == NULL)
			abort();
	}
	if (n != 0)
		memcpy(g->text + g->len, bytes, n);
	g->len += n;
}

static void hear(void *ctx, const uint8_t *bytes, size_t n)
{
	struct guest *g = ctx;

	pthread_mutex_lock(&g->lock);
	append(g, bytes, n);
	pthread_cond_broadcast(&g->came);
	pthread_mutex_unlock(&g->lock);
}

static struct timespec from_now(long ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool is_over(const struct timespec *t)
{
	struct timespec now = from_now(0);

	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

/* Dead, and with nothing more on its way? Then waiting is in vain. */
static void fail_if_ended(struct guest *g)
{
	struct spore_error why = { .text = "" }, err;
	enum spore_outcome o;

	spore_must(spore_machine_outcome(g->m, &o, &why, &err), &err, "outcome");
	if (o != SPORE_OUTCOME_NONE)
		fail_msg("the machine ended while something was expected of it: %s %s; unread: %.*s",
			 spore_outcome_text(o), why.text, (int)g->len, g->text);
}

typedef bool enough(const struct guest *g, size_t n);

static bool has_line(const struct guest *g, size_t n)
{
	(void)n;
	return g->len != 0 && memchr(g->text, '\n', g->len) != NULL;
}

static bool has_bytes(const struct guest *g, size_t n)
{
	return g->len >= n;
}

/* Lock held on return. */
static void await(struct guest *g, enough *is_enough, size_t n)
{
	struct timespec end = from_now(PATIENCE_S * 1000L);

	pthread_mutex_lock(&g->lock);
	while (!is_enough(g, n)) {
		struct timespec slice = from_now(SLICE_MS);

		if (pthread_cond_timedwait(&g->came, &g->lock, &slice) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&g->lock);
		fail_if_ended(g);
		if (is_over(&end))
			fail_msg("nothing came in %d s; unread: %.*s", PATIENCE_S, (int)g->len, g->text);
		pthread_mutex_lock(&g->lock);
	}
}

const char *guest_line(struct guest *g)
{
	size_t n;

	await(g, has_line, 0);
	n = (size_t)((char *)memchr(g->text, '\n', g->len) - g->text);
	(void)snprintf(g->line, sizeof g->line, "%.*s", (int)n, g->text);
	g->len -= n + 1;
	memmove(g->text, g->text + n + 1, g->len);
	pthread_mutex_unlock(&g->lock);
	return g->line;
}

const uint8_t *guest_said(struct guest *g, size_t n, size_t *ret_n)
{
	await(g, has_bytes, n);
	/* A copy: the next byte may move the buffer. */
	g->frozen_len = g->len;
	g->frozen = realloc(g->frozen, g->len + 1);
	if (g->len != 0)
		memcpy(g->frozen, g->text, g->len);
	pthread_mutex_unlock(&g->lock);
	if (ret_n != NULL)
		*ret_n = g->frozen_len;
	return (const uint8_t *)g->frozen;
}

size_t guest_unread(struct guest *g)
{
	size_t n;

	pthread_mutex_lock(&g->lock);
	n = g->len;
	pthread_mutex_unlock(&g->lock);
	return n;
}

const char *guest_answer(struct guest *g)
{
	const char *line = guest_line(g);

	if (strncmp(line, "ok", 2) != 0)
		fail_msg("the guest says: %s", line);
	return line;
}

uint64_t answer_number(const char *answer, const char *key)
{
	char word[64];
	const char *at;

	(void)snprintf(word, sizeof word, " %s=", key);
	at = strstr(answer, word);
	if (at == NULL) {
		fail_msg("no %s in: %s", key, answer);
		return 0;
	}
	return strtoull(at + strlen(word), NULL, 0);
}

/* ---- what it is told ---- */

void guest_type(struct guest *g, const char *bytes, size_t n)
{
	struct timespec end = from_now(PATIENCE_S * 1000L);
	struct spore_error err;

	while (n > 0) {
		size_t taken = 0;

		spore_must(spore_machine_input(g->m, bytes, n, &taken, &err), &err, "input");
		bytes += taken;
		n -= taken;
		if (taken == 0) {
			fail_if_ended(g);
			if (is_over(&end))
				fail_msg("the guest takes no input");
			(void)usleep(200);
		}
	}
}

static void tell(struct guest *g, const char *format, va_list args)
{
	char line[LINE_ROOM];
	int n = vsnprintf(line, sizeof line - 1, format, args);

	assert_true(n >= 0 && (size_t)n < sizeof line - 1);
	line[n] = '\n';
	guest_type(g, line, (size_t)n + 1);
}

void guest_tell(struct guest *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(g, format, args);
	va_end(args);
}

const char *guest_ask(struct guest *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(g, format, args);
	va_end(args);
	return guest_answer(g);
}

/* ---- its life ---- */

static struct guest *guest_alloc(struct spore_machine_options *ret_options)
{
	struct guest *g;
	pthread_condattr_t attr;

	need_kvm();
	g = calloc(1, sizeof *g);
	assert_non_null(g);
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->came, &attr);
	pthread_condattr_destroy(&attr);
	*ret_options = (struct spore_machine_options)SPORE_MACHINE_OPTIONS_INIT;
	ret_options->console = hear;
	ret_options->ctx = g;
	return g;
}

struct guest *guest_new(void)
{
	struct spore_machine_options o;
	struct spore_error err;
	struct guest *g = guest_alloc(&o);

	spore_must(spore_machine_new(&o, &g->m, &err), &err, "new");
	return g;
}

void guest_free(struct guest *g)
{
	if (g == NULL)
		return;
	spore_machine_free(g->m);
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->came);
	free(g->text);
	free(g->frozen);
	free(g);
}

spore_machine *guest_machine(struct guest *g)
{
	return g->m;
}

struct guest *guest_boot(const struct spore_config *c)
{
	struct guest *g = guest_new();
	struct spore_error err;
	const char *line;

	spore_must(spore_machine_boot(g->m, c, &err), &err, "boot");
	line = guest_line(g);
	if (strncmp(line, "tguest: ready ", 14) != 0)
		fail_msg("the guest says: %s", line);
	return g;
}

struct guest *guest_restore_paused(const char *path, const struct guest *from)
{
	struct guest *g = guest_new();
	struct spore_error err;

	if (from != NULL)
		append(g, from->frozen, from->frozen_len);
	spore_must(spore_machine_restore(g->m, path, NULL, &err), &err, "restore");
	return g;
}

struct guest *guest_restore(const char *path, const struct guest *from)
{
	struct guest *g = guest_restore_paused(path, from);

	guest_resume(g);
	return g;
}

struct guest *guest_spawn(spore_zygote *z, const struct spore_spawn_options *o)
{
	struct spore_spawn_options s = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_machine_options console;
	struct spore_error err;
	struct guest *g = guest_alloc(&console);

	if (o != NULL)
		s = *o;
	s.flags |= SPORE_SPAWN_RESUME;
	s.machine = &console;
	spore_must(spore_spawn_unjailed(z, &s, &g->m, &err), &err, "spawn");
	return g;
}

spore_zygote *guest_to_zygote(struct guest *g)
{
	struct spore_freeze_options o = SPORE_FREEZE_OPTIONS_INIT;
	spore_zygote *z = NULL;
	struct spore_error err;

	o.flags = SPORE_FREEZE_PAUSE;
	spore_must(spore_machine_freeze(g->m, &o, &z, &err), &err, "freeze");
	guest_free(g);
	return z;
}

void guest_pause(struct guest *g)
{
	struct spore_error err;

	spore_must(spore_machine_pause(g->m, &err), &err, "pause");
}

void guest_resume(struct guest *g)
{
	struct spore_error err;

	spore_must(spore_machine_resume(g->m, &err), &err, "resume");
}

void guest_snapshot(struct guest *g, const char *path)
{
	struct spore_error err;

	spore_must(spore_machine_snapshot(g->m, path, NULL, &err), &err, "snapshot");
	(void)guest_said(g, 0, NULL);
}

void guest_freeze(struct guest *g, const char *path)
{
	guest_pause(g);
	guest_snapshot(g, path);
	guest_resume(g);
}

static enum spore_outcome end_of(struct guest *g, struct spore_error *ret_why)
{
	enum spore_outcome o;
	struct spore_error err;

	spore_must(spore_machine_wait(g->m, PATIENCE_S * 1000, &o, ret_why, &err), &err, "wait");
	if (o == SPORE_OUTCOME_NONE)
		fail_msg("the machine did not end in %d s", PATIENCE_S);
	return o;
}

void guest_ends(struct guest *g, enum spore_outcome outcome)
{
	struct spore_error why = { .text = "" };
	enum spore_outcome o = end_of(g, &why);

	if (o != outcome)
		fail_msg("it ended otherwise: %s %s", spore_outcome_text(o), why.text);
}

struct spore_error guest_breaks(struct guest *g)
{
	struct spore_error why = { .text = "" };
	enum spore_outcome o = end_of(g, &why);

	if (o != SPORE_OUTCOME_ERROR)
		fail_msg("it ended otherwise: %s", spore_outcome_text(o));
	return why;
}

/* ---- a frozen state ---- */

json_t *frozen_state(const char *path)
{
	struct spore_error err;
	json_error_t fault;
	char *text = NULL;
	json_t *state;

	spore_must(spore_inspect(path, &text, &err), &err, "inspect");
	state = json_loads(text, 0, &fault);
	spore_free(text);
	if (state == NULL)
		fail_msg("inspect: line %d: %s", fault.line, fault.text);
	return state;
}

const json_t *state_at(const json_t *state, const char *path)
{
	const json_t *at = state;
	char word[64];

	for (const char *p = path; at != NULL && *p != '\0';) {
		size_t n = strcspn(p, "/");

		(void)snprintf(word, sizeof word, "%.*s", (int)n, p);
		at = json_is_array(at) ? json_array_get(at, strtoul(word, NULL, 10))
				       : json_object_get(at, word);
		p += n + (p[n] == '/');
	}
	if (at == NULL)
		fail_msg("the state has no %s", path);
	return at;
}

uint64_t state_number(const json_t *state, const char *path)
{
	const json_t *v = state_at(state, path);

	if (json_is_string(v))
		return strtoull(json_string_value(v), NULL, 16);
	return (uint64_t)json_integer_value(v);
}

const json_t *state_row(const json_t *state, const char *kind)
{
	const json_t *table = state_at(state, "table");

	for (size_t i = 0; i < json_array_size(table); i++) {
		const json_t *row = json_array_get(table, i);

		if (strcmp(json_string_value(state_at(row, "kind")), kind) == 0)
			return row;
	}
	fail_msg("the file has no %s section", kind);
	return NULL;
}

void guest_freeze_at(struct guest *g, const char *path, moment *is_it, void *ctx)
{
	for (int i = 0; i < TRIES; i++) {
		json_t *state;
		bool found;

		guest_pause(g);
		guest_snapshot(g, path);
		state = frozen_state(path);
		found = is_it(state, ctx);
		json_decref(state);
		if (found)
			return;
		guest_resume(g);
		/* Not a measure of anything: only so that it gets somewhere, each time elsewhere. */
		(void)usleep((useconds_t)(i % 17 * 50));
	}
	fail_msg("the moment never came in %d tries", TRIES);
}

static bool is_idle(const json_t *state, void *ctx)
{
	enum { MP_HALTED = 3 };

	(void)ctx;
	return state_number(state, "vcpu/0/mp_state") == MP_HALTED &&
	       json_array_size(state_at(state, "vcpu/0/lapic/irr")) == 0;
}

void guest_settle(struct guest *g, const char *path)
{
	guest_freeze_at(g, path, is_idle, NULL);
	guest_resume(g);
}

/* ---- its numbers ---- */

uint64_t guest_pattern(uint64_t seed, uint64_t position)
{
	uint64_t z = (seed ^ position) + 0x9E3779B97F4A7C15;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
	return z ^ (z >> 31);
}

uint64_t guest_pattern_hash(uint64_t seed, uint64_t start, uint64_t len)
{
	uint64_t h = 0xCBF29CE484222325;

	for (uint64_t at = start; at < start + len; at += 8)
		h = (h ^ guest_pattern(seed, at)) * 0x100000001B3;
	return h;
}
