/* SPDX-License-Identifier: Apache-2.0 */
/* run_mutants FOLDER FILE...: restores every mutant that `mutate random --out FOLDER` kept of the
 * FILEs, on this host's KVM, and lets it run for 100 ms or until it ends. Prints TAP.
 *
 * A mutant may be refused by KVM or end as it likes; the monitor must neither crash nor hang. Several
 * processes share the work; each restores from files of its own, which hold the RAM of the FILEs and
 * the mutant's front. Disks that a mutant wants are made, as holes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "life/snapshot.h"
#include "plan/image.h"

enum { WORKERS = 12, RUN_MS = 100, HANG_S = 30, FILES_MAX = 16, MUTANTS_MAX = 200000 };

static const char *folder;
static char *mutants[MUTANTS_MAX];
static unsigned n_mutants;
static const char *files[FILES_MAX];
static unsigned n_files;

enum fate { REFUSED, UNREADABLE, RAN, POWEROFF, RESET, CRASH, STOPPED, ERROR, FATES };
static const char *fate_words[FATES] = {
	"refused by this host", "refused by the reader", "ran for 100 ms", "powered off", "reset",
	"crashed", "stopped", "ended by an error of the monitor or of KVM",
};

static void fatal(const char *what)
{
	fprintf(stderr, "run_mutants: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *whole_path(const char *path)
{
	char *whole = realpath(path, NULL);

	if (whole == NULL)
		fatal(path);
	return whole;
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void collect(void)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	if (d == NULL)
		fatal(folder);
	while ((e = readdir(d)) != NULL && n_mutants < MUTANTS_MAX) {
		if (strstr(e->d_name, ".front") == NULL)
			continue;
		mutants[n_mutants] = strdup(e->d_name);
		if (mutants[n_mutants++] == NULL)
			fatal("strdup");
	}
	(void)closedir(d);
}

/* FILE-NUMBER.front was made of FILE. */
static const char *origin_of(const char *mutant)
{
	for (unsigned i = 0; i < n_files; i++) {
		const char *slash = strrchr(files[i], '/'), *base = slash == NULL ? files[i] : slash + 1;
		size_t n = strlen(base);

		if (strncmp(mutant, base, n) == 0 && mutant[n] == '-')
			return files[i];
	}
	errno = ENOENT;
	fatal(mutant);
	return NULL;
}

/* The FILE's blocks, holes left out. */
static void copy_ram(int from, int to)
{
	static uint8_t block[RAM_BLOCK];
	off_t at = 0;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		ssize_t n = pread(from, block, sizeof block, at);

		if (n <= 0 || pwrite(to, block, (size_t)n, at) != n)
			fatal("copying RAM");
		at += n;
	}
}

static void work_path(char *path, size_t n, unsigned worker)
{
	(void)snprintf(path, n, "%s/work%u", folder, worker);
}

/* The worker's file becomes the mutant: its front, nothing up to RAM, and the origin's RAM. */
static void work_make(unsigned worker, const char *mutant)
{
	int from = open(origin_of(mutant), O_RDONLY | O_CLOEXEC);
	int front = open_in(folder, mutant, O_RDONLY), to;
	static uint8_t bytes[MIB(2)];
	char path[4096];
	uint64_t total = 0;
	ssize_t n;

	work_path(path, sizeof path, worker);
	to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (from < 0 || front < 0 || to < 0)
		fatal(mutant);
	copy_ram(from, to);
	n = read(front, bytes, sizeof bytes);
	if (n < SNAP_HEAD_SIZE)
		fatal(mutant);
	memset(bytes + n, 0, sizeof bytes - (size_t)n);
	for (unsigned i = 0; i < 8; i++)
		total |= (uint64_t)bytes[72 + i] << 8 * i;
	if (pwrite(to, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
	    ftruncate(to, (off_t)total) != 0)
		fatal(mutant);
	(void)close(from);
	(void)close(front);
	(void)close(to);
}

static void hole_make(const char *name, uint64_t size)
{
	int fd = open_in(folder, name, O_RDWR | O_CREAT);

	/* A size that the file system cannot have leaves it empty: the restore then says so. */
	if (fd >= 0 && ftruncate(fd, (off_t)size) != 0)
		errno = 0;
	if (fd >= 0)
		(void)close(fd);
}

/* Files for its disks: those in their place are replaced, stored ones lie beside the snapshot. */
static size_t disks_make(const struct image *im, unsigned worker, struct restore_disk *disks,
			 char (*paths)[64])
{
	const struct topology *t = geometry_topology(image_geometry(im));
	uint32_t n = 0;
	size_t made = 0;

	for (uint32_t i = 0; i < topology_slots(t); i++) {
		const struct device_state *s = image_device(im, (slot_id){ i });

		if (s->kind != DEV_BLK)
			continue;
		(void)snprintf(paths[made], sizeof paths[0], "disk%u.%" PRIu32, worker, n);
		if (s->blk.layer.path[0] != '\0')
			hole_make(s->blk.layer.path, s->blk.layer.size);
		if (s->blk.base.stored) {
			hole_make(s->blk.base.path, s->blk.base.size);
		} else {
			hole_make(paths[made], s->blk.capacity.v);
			disks[made] = (struct restore_disk){ n, paths[made] };
			made++;
		}
		n++;
	}
	return made;
}

static enum fate outcome_fate(enum vm_outcome o)
{
	switch (o) {
	case VM_NONE: return RAN;
	case VM_POWEROFF: return POWEROFF;
	case VM_RESET: return RESET;
	case VM_CRASH: return CRASH;
	case VM_STOPPED: return STOPPED;
	case VM_ERROR: return ERROR;
	}
	unreachable_by_type();
}

static void say_nothing(void *ctx, const uint8_t *bytes, size_t n)
{
	(void)ctx;
	(void)bytes;
	(void)n;
}

static enum fate run(struct snapshot *s, unsigned worker)
{
	struct restore_disk disks[SHAPE_DEVICES_MAX];
	char paths[SHAPE_DEVICES_MAX][64];
	struct restore_options o = { .disks = disks };
	struct vm_options vo = { .console = say_nothing };
	vm_paused *paused = NULL;
	vm_running *vm = NULL;
	enum fate fate = REFUSED;
	struct pollfd p;
	err_t e;

	o.n_disks = disks_make(snapshot_image(s), worker, disks, paths);
	e = vm_restore(s, &o, &vo, NULL, &paused);
	if (!failed(e))
		e = vm_resume(&paused, NULL, &vm);
	if (!failed(e)) {
		p = (struct pollfd){ .fd = vm_event_fd(vm), .events = POLLIN };
		(void)poll(&p, 1, RUN_MS);
		fate = outcome_fate(vm_outcome(vm, NULL));
		vm_stop(vm);
	}
	vm_running_free(vm);
	vm_paused_free(paused);
	return fate;
}

static enum fate judge(const char *mutant, unsigned worker)
{
	char path[4096];
	struct snapshot *s;
	enum fate fate;

	work_path(path, sizeof path, worker);
	work_make(worker, mutant);
	if (failed(snapshot_open(path, NULL, &s)))
		return UNREADABLE;
	fate = run(s, worker);
	snapshot_free(s);
	return fate;
}

/* One byte per mutant: which, and its fate. A worker that dies leaves its last one unanswered. */
struct note { uint32_t mutant; uint32_t fate; };

static void work(unsigned worker, int to)
{
	for (unsigned i = worker; i < n_mutants; i += WORKERS) {
		struct note n = { i, FATES };

		if (write(to, &n, sizeof n) != (ssize_t)sizeof n)
			exit(2);
		alarm(HANG_S); /* its death is the finding */
		n.fate = judge(mutants[i], worker);
		if (write(to, &n, sizeof n) != (ssize_t)sizeof n)
			exit(2);
	}
	exit(0);
}

static unsigned reap(void)
{
	unsigned dead = 0;
	int status;

	while (wait(&status) > 0 || errno == EINTR)
		dead += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return dead;
}

static bool tally(int from, uint64_t *fates)
{
	uint32_t *last = calloc(n_mutants + 1, sizeof *last);
	struct note n;
	bool all = true;

	if (last == NULL)
		fatal("calloc");
	while (read(from, &n, sizeof n) == (ssize_t)sizeof n)
		last[n.mutant] = n.fate + 1;
	for (unsigned i = 0; i < n_mutants; i++) {
		if (last[i] != 0 && last[i] <= FATES) {
			fates[last[i] - 1]++;
			continue;
		}
		all = false;
		if (last[i] != 0)
			printf("# %s: the monitor did not survive it\n", mutants[i]);
	}
	free(last);
	return all;
}

static unsigned n_cases;
static bool bad;

static void result(bool ok, const char *name, uint64_t n)
{
	n_cases++;
	bad |= !ok;
	printf("%s %u - %s (%" PRIu64 ")\n", ok ? "ok" : "not ok", n_cases, name, n);
}

int main(int argc, char **argv)
{
	uint64_t fates[FATES] = { 0 }, ran = 0;
	int channel[2];
	unsigned dead;
	bool all;

	if (argc < 3 || argc > 2 + FILES_MAX)
		return 2;
	folder = whole_path(argv[1]);
	for (int i = 2; i < argc; i++)
		files[n_files++] = whole_path(argv[i]);
	collect();
	/* Disks have names in the folder, and so have the files that mutants say lie beside them. */
	if (chdir(folder) != 0 || pipe(channel) != 0)
		fatal(folder);
	(void)fflush(stdout);
	for (unsigned w = 0; w < WORKERS; w++) {
		pid_t pid = fork();

		if (pid < 0)
			fatal("fork");
		if (pid == 0)
			work(w, channel[1]);
	}
	(void)close(channel[1]);
	all = tally(channel[0], fates);
	dead = reap();
	for (unsigned i = 0; i < FATES; i++)
		if (fates[i] != 0)
			printf("# %s: %" PRIu64 "\n", fate_words[i], fates[i]);
	for (unsigned i = RAN; i < FATES; i++)
		ran += fates[i];
	result(all && dead == 0, "the monitor outlives every accepted mutant", n_mutants);
	result(fates[UNREADABLE] == 0, "none is refused on second reading", fates[UNREADABLE]);
	result(ran * 2 >= n_mutants && n_mutants > 100, "most of them were run", ran);
	printf("1..%u\n", n_cases);
	return bad ? 1 : 0;
}
