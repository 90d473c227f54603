/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick for a restore: the same KVM calls with the same arguments, the same eventfds and
 * mappings, in the same order, from buffers that are ready, up to the guest's first port write.
 * Nothing is parsed or checked between the two readings of the clock, no thread is started and no
 * file read. What is done is read before from a record (record.c), which it trusts:
 *
 *   WORD OBJECT ON A B C D BYTES works|fails [AT,SIZE,OBJECT,PLUS]...
 *
 *   file, kvm   open the state file, /dev/kvm          dup      ON again
 *   eventfd     A: count, B: flags                     map      ON; A: length, B: protection,
 *   bytes       an argument of an argument                      C: flags, D: offset
 *   set, ask    ioctl A of ON, with BYTES or else B; ask: the call only reads
 *   run         KVM_RUN of ON
 *
 * OBJECT numbers what a line makes, so that later lines can refer to it: descriptors and addresses
 * differ each time and are put into the bytes at AT.
 *
 *   bare RECORD STATE [--set]       one restore for each line on standard input: its nanoseconds
 *                                   on standard output; --set leaves out the calls that only read */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { OPS_MAX = 512, OBJECTS_MAX = 256, PATCHES_MAX = 4 };

static struct op {
	char kind; /* the first letter of WORD */
	int object, on;
	uint64_t n[4];
	unsigned char *bytes;
	bool fails;
	int n_patches;
	struct patch {
		size_t at, size;
		int object;
		uint64_t plus;
	} patches[PATCHES_MAX];
} ops[OPS_MAX];
static int n_ops;

static uintptr_t objects[OBJECTS_MAX]; /* descriptors and addresses */
static const char *state;
static bool only_set;

/* ---- before the clock starts ---- */

static unsigned char *bytes_of(const char *hex)
{
	size_t n = strlen(hex) / 2;
	unsigned char *bytes = calloc(1, n + 1);

	for (size_t i = 0; i < n; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
			errx(1, "the record has bytes that are none");
	return n == 0 ? NULL : bytes;
}

static void read_op(struct op *op, const char *line)
{
	char *hex;
	int used;

	if (sscanf(line, "%c%*s %d %d %lu %lu %lu %lu %ms %n", &op->kind, &op->object, &op->on, &op->n[0],
		   &op->n[1], &op->n[2], &op->n[3], &hex, &used) != 8)
		errx(1, "not a line of a record: %s", line);
	op->bytes = bytes_of(hex);
	op->fails = line[used] == 'f';
	line += used + strlen("works");
	for (; op->n_patches < PATCHES_MAX; line += used) {
		struct patch *p = &op->patches[op->n_patches];

		if (sscanf(line, "%zu,%zu,%d,%lu%n", &p->at, &p->size, &p->object, &p->plus,
			   &used) != 4)
			break;
		op->n_patches++;
	}
	free(hex);
}

static void read_record(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	if (f == NULL)
		err(1, "%s", path);
	while (n_ops < OPS_MAX && getline(&line, &cap, f) > 0)
		read_op(&ops[n_ops++], line);
	(void)fclose(f);
	free(line);
	if (n_ops == 0 || ops[n_ops - 1].kind != 'r')
		errx(1, "%s: does not end with a run", path);
}

/* ---- while it runs ---- */

static long call(struct op *op)
{
	int on = op->on < 0 ? -1 : (int)objects[op->on];
	const uint64_t *n = op->n;
	long r;

	switch (op->kind) {
	case 'f':
		return open(state, O_RDONLY | O_CLOEXEC);
	case 'k':
		return open("/dev/kvm", O_RDWR | O_CLOEXEC);
	case 'e':
		return eventfd((unsigned)n[0], (int)n[1]);
	case 'd':
		return fcntl(on, F_DUPFD_CLOEXEC, 0);
	case 'm':
		return (long)mmap(NULL, n[0], (int)n[1], (int)n[2] & ~MAP_FIXED_NOREPLACE, on, (off_t)n[3]);
	case 'b':
		return (long)op->bytes;
	}
	for (int i = 0; i < op->n_patches; i++) {
		uint64_t value = objects[op->patches[i].object] + op->patches[i].plus;

		memcpy(op->bytes + op->patches[i].at, &value, op->patches[i].size);
	}
	r = ioctl(on, n[0], op->bytes != NULL ? (uintptr_t)op->bytes : n[1]);
	return op->fails && r < 0 ? 0 : r;
}

/* The vCPU's run area is what was mapped of it. */
static void run_to_port_write(int vcpu)
{
	const struct kvm_run *run = NULL;

	for (int i = 0; i < n_ops; i++)
		if (ops[i].kind == 'm' && ops[i].on == vcpu)
			run = (const struct kvm_run *)objects[ops[i].object];
	if (run == NULL || ioctl((int)objects[vcpu], KVM_RUN, 0) < 0)
		err(1, "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT)
		errx(1, "exit %u where a port write was expected", run->exit_reason);
}

static uint64_t restore(void)
{
	struct timespec from, to;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < n_ops - 1; i++) {
		struct op *op = &ops[i];
		long r = only_set && op->kind == 'a' ? 0 : call(op);

		if (r == -1)
			err(1, "line %d of the record", i + 1);
		if (op->object >= 0)
			objects[op->object] = (uintptr_t)r;
	}
	run_to_port_write(ops[n_ops - 1].on);
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)to.tv_nsec -
	       (uint64_t)from.tv_nsec;
}

static void close_all(void)
{
	for (int i = n_ops - 1; i >= 0; i--) {
		const struct op *op = &ops[i];

		if (op->kind == 'm')
			(void)munmap((void *)objects[op->object], op->n[0]);
		else if (op->object >= 0 && op->kind != 'b')
			(void)close((int)objects[op->object]);
	}
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc < 3)
		errx(2, "usage: bare RECORD STATE [--set]");
	state = argv[2];
	only_set = argc > 3;
	read_record(argv[1]);
	while (fgets(line, sizeof line, stdin) != NULL) {
		uint64_t took = restore();

		close_all();
		(void)printf("%lu\n", took);
		(void)fflush(stdout);
	}
	return 0;
}
