/* SPDX-License-Identifier: Apache-2.0 */
#include "support/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plan/geometry.h"
#include "plan/topology.h"
#include "support/tguest.h"

enum { PATIENCE_S = 100, TEXT_MAX = 1 << 16, LINE_ROOM = 1200 };

struct kin {
	vm_running *running; /* one of the two */
	vm_paused *paused;
	pthread_mutex_t lock;
	char text[TEXT_MAX]; /* said and not taken; guarded by lock */
	size_t len;
	char line[LINE_ROOM];
};

static void must(err_t e, const struct diag *d, const char *what)
{
	if (failed(e))
		fail_msg("%s: %s (%s)", what, d->text, err_name(e.code));
}

uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct request kin_request(void)
{
	return (struct request){ .kernel = guest_kernel(), .cmdline = "", .cpus = 1,
				 .ram = BYTES(MIB(32)) };
}

struct request kin_request_disk(enum disk_mode mode)
{
	static struct disk_request disk;
	struct request r = kin_request();

	disk = (struct disk_request){ "disk.img", mode };
	r.disks = &disk;
	r.n_disks = 1;
	return r;
}

/* ---- its life ---- */

static void hear(void *ctx, const uint8_t *bytes, size_t n)
{
	struct kin *k = ctx;

	pthread_mutex_lock(&k->lock);
	if (n > TEXT_MAX - k->len)
		n = TEXT_MAX - k->len;
	memcpy(k->text + k->len, bytes, n);
	k->len += n;
	pthread_mutex_unlock(&k->lock);
}

static struct kin *kin_new(struct vm_options *ret_options)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kin *k;

	if (kvm < 0) {
		print_message("/dev/kvm cannot be opened: %s\n", strerror(errno));
		skip();
	}
	close(kvm);
	k = calloc(1, sizeof *k);
	assert_non_null(k);
	pthread_mutex_init(&k->lock, NULL);
	*ret_options = (struct vm_options){ .console = hear, .ctx = k };
	return k;
}

struct kin *kin_boot(const struct request *r)
{
	struct vm_options o;
	struct kin *k = kin_new(&o);
	const struct config *config = NULL;
	const struct topology *topology = NULL;
	const struct geometry *geometry = NULL;
	vm_built *built = NULL;
	struct diag d = DIAG_INIT;
	struct shape shape;

	must(config_validate(r, &d, &config), &d, "config");
	shape = config_shape(config);
	must(topology_plan(&shape, &d, &topology), &d, "topology");
	must(geometry_plan(topology, &d, &geometry), &d, "geometry");
	must(vm_build(config, geometry, &o, &d, &built), &d, "build");
	must(vm_start(&built, &d, &k->running), &d, "start");
	geometry_free(geometry);
	topology_free(topology);
	config_free(config);
	if (strncmp(kin_line(k), "tguest: ready ", 14) != 0)
		fail_msg("the guest says: %s", k->line);
	return k;
}

static struct snapshot *opened(const char *path)
{
	struct snapshot *s = NULL;
	struct diag d = DIAG_INIT;

	must(snapshot_open(path, &d, &s), &d, "open");
	return s;
}

struct kin *kin_restore(const char *path)
{
	struct restore_options ro = { 0 };
	struct vm_options o;
	struct kin *k = kin_new(&o);
	struct snapshot *s = opened(path);
	struct diag d = DIAG_INIT;

	must(vm_restore(s, &ro, &o, &d, &k->paused), &d, "restore");
	snapshot_free(s);
	return k;
}

struct kin *kin_spawn(struct zygote *z, const struct identity *id)
{
	struct vm_options o;
	struct kin *k = kin_new(&o);
	struct diag d = DIAG_INIT;

	must(vm_spawn(z, id, &o, &d, &k->paused), &d, "spawn");
	return k;
}

struct kin *kin_spawn_in(vm_shell **shell, struct zygote *z, const struct identity *id)
{
	struct vm_options o;
	struct kin *k = kin_new(&o);
	struct diag d = DIAG_INIT;

	must(vm_spawn_in(shell, z, id, &o, &d, &k->paused), &d, "spawn in a shell");
	assert_null(*shell);
	return k;
}

struct kin *kin_child(struct zygote *z)
{
	struct kin *k = kin_spawn(z, &(struct identity){ 0 });

	kin_resume(k);
	return k;
}

struct kin *kin_child_in_shell(struct zygote *z)
{
	vm_shell *shell = shell_like(z);
	struct kin *k = kin_spawn_in(&shell, z, &(struct identity){ 0 });

	kin_resume(k);
	return k;
}

void kin_free(struct kin *k)
{
	if (k == NULL)
		return;
	vm_running_free(k->running);
	vm_paused_free(k->paused);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void kin_pause(struct kin *k)
{
	struct diag d = DIAG_INIT;

	must(vm_pause(&k->running, &d, &k->paused), &d, "pause");
}

void kin_resume(struct kin *k)
{
	struct diag d = DIAG_INIT;

	must(vm_resume(&k->paused, &d, &k->running), &d, "resume");
}

vm_paused *kin_paused(struct kin *k)
{
	assert_non_null(k->paused);
	return k->paused;
}

void kin_snapshot(struct kin *k, const char *path)
{
	struct snapshot_options o = { .path = path, .disks = true };
	struct diag d = DIAG_INIT;

	must(snapshot_take(k->paused, &o, &d), &d, "snapshot");
}

struct zygote *kin_freeze(struct kin *k)
{
	struct zygote *z = NULL;
	struct diag d = DIAG_INIT;

	if (k->running != NULL)
		kin_pause(k);
	must(vm_freeze(&k->paused, &d, &z), &d, "freeze");
	assert_null(k->paused);
	kin_free(k);
	return z;
}

struct zygote *zygote_of_file(const char *path)
{
	struct restore_options ro = { 0 };
	struct snapshot *s = opened(path);
	struct zygote *z = NULL;
	struct diag d = DIAG_INIT;

	must(zygote_load(s, &ro, &d, &z), &d, "load");
	snapshot_free(s);
	return z;
}

vm_shell *shell_like(const struct zygote *z)
{
	struct shell_options opens = { FD_NONE, FD_NONE, NULL };
	vm_shell *s = NULL;
	struct diag d = DIAG_INIT;

	must(shell_make(zygote_image(z), &opens, &d, &s), &d, "shell");
	return s;
}

/* ---- what it says and is told ---- */

static bool take_line(struct kin *k)
{
	const char *end;
	size_t n;

	pthread_mutex_lock(&k->lock);
	end = memchr(k->text, '\n', k->len);
	if (end != NULL) {
		n = (size_t)(end - k->text);
		(void)snprintf(k->line, sizeof k->line, "%.*s", (int)n, k->text);
		k->len -= n + 1;
		memmove(k->text, k->text + n + 1, k->len);
	}
	pthread_mutex_unlock(&k->lock);
	return end != NULL;
}

const char *kin_line(struct kin *k)
{
	uint64_t start = now_ns();
	struct diag d = DIAG_INIT;

	while (!take_line(k)) {
		enum vm_outcome o = vm_outcome(k->running, &d);

		if (o != VM_NONE)
			fail_msg("it ended while something was expected of it: %s: %s",
				 vm_outcome_text(o), d.text);
		if (now_ns() - start > PATIENCE_S * UINT64_C(1000000000))
			fail_msg("nothing came in %d s", PATIENCE_S);
		(void)usleep(50);
	}
	return k->line;
}

const char *kin_answer(struct kin *k)
{
	const char *line = kin_line(k);

	if (strncmp(line, "ok", 2) != 0)
		fail_msg("the guest says: %s", line);
	return line;
}

static void tell(struct kin *k, const char *format, va_list args)
{
	uint64_t start = now_ns();
	uint8_t line[LINE_ROOM];
	size_t n = (size_t)vsnprintf((char *)line, sizeof line - 1, format, args);

	assert_true(n < sizeof line - 1);
	line[n++] = '\n';
	for (size_t at = 0; at < n;) {
		size_t taken = vm_console_input(k->running, line + at, n - at);

		at += taken;
		if (taken == 0)
			(void)usleep(50);
		if (now_ns() - start > PATIENCE_S * UINT64_C(1000000000))
			fail_msg("the guest takes no input");
	}
}

void kin_tell(struct kin *k, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(k, format, args);
	va_end(args);
}

const char *kin_ask(struct kin *k, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(k, format, args);
	va_end(args);
	return kin_answer(k);
}

struct diag kin_breaks(struct kin *k)
{
	struct pollfd ended = { .fd = vm_event_fd(k->running), .events = POLLIN };
	struct diag d = DIAG_INIT;

	assert_int_equal(poll(&ended, 1, PATIENCE_S * 1000), 1);
	assert_int_equal(vm_outcome(k->running, &d), VM_ERROR);
	return d;
}
