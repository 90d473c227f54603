/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick for a spawn: the KVM calls of a restore's record (record.c makes it, bare.c says
 * what a line is) but those that only ask or fail, RAM being a sealed memfd in place of the file.
 * They are of two parts: what a ready shell has behind it, its slots on addresses where nothing is
 * mapped, and what only the zygote can tell. The clock stops at vCPU 0's first port write.
 *
 *   bare_spawn cold|pooled|worker RECORD RAM     a spawn for each line of standard input: its ns
 *
 * cold: both parts on the clock; pooled: the second; worker: the second in a process that waits,
 * with a shell, for RAM, a path to the memfd: the file's bytes in place. Trusts its arguments. */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OPS_MAX = 512, SHELL = 1, CONTENT = 2, RAM = SHELL | CONTENT };
#define RAM_ADDRESS 0x200000000000u /* far below where the kernel puts mappings by itself */

static const unsigned long shell_requests[] = {
	KVM_CREATE_VM, KVM_SET_USER_MEMORY_REGION, KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR,
	KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_CREATE_VCPU, KVM_SET_CPUID2, KVM_IOEVENTFD,
	KVM_IRQFD
};
static struct op {
	char kind; /* the first letter of WORD */
	int object, on, patch;
	uint64_t n[4];
	unsigned char *bytes;
	size_t at, size, plus; /* of the patch */
	unsigned parts;
} ops[OPS_MAX];
static int n_ops, vcpu = -1, run_area, ram;
static uintptr_t objects[OPS_MAX]; /* descriptors and addresses */

static unsigned parts_of(const struct op *op)
{
	if (op->kind == 'm' && (op->n[2] & MAP_PRIVATE) != 0)
		return RAM;
	for (size_t i = 0; i < sizeof shell_requests / sizeof *shell_requests; i++)
		if (op->kind == 's' && op->n[0] == shell_requests[i])
			return SHELL;
	return op->kind == 's' ? CONTENT : strchr("kem", op->kind) != NULL ? SHELL : 0;
}

static void read_op(struct op *op, const char *line)
{
	char *hex;
	int used = 0;

	if (sscanf(line, "%c%*s %d %d %lu %lu %lu %lu %ms %n", &op->kind, &op->object, &op->on,
		   &op->n[0], &op->n[1], &op->n[2], &op->n[3], &hex, &used) != 8)
		errx(1, "not a line of a record: %s", line);
	op->bytes = hex[0] == '-' ? NULL : calloc(1, strlen(hex) / 2);
	for (size_t i = 0; op->bytes != NULL && i < strlen(hex) / 2; i++)
		(void)sscanf(hex + 2 * i, "%2hhx", &op->bytes[i]);
	free(hex);
	op->patch = -1;
	(void)sscanf(line + used, "%*s %zu,%zu,%d,%zu", &op->at, &op->size, &op->patch, &op->plus);
	op->parts = line[used] == 'f' ? 0 : parts_of(op);
	if (op->kind == 'b')
		objects[op->object] = (uintptr_t)op->bytes;
	if (op->n[0] == KVM_CREATE_VCPU && op->n[1] == 0)
		vcpu = op->object;
	if (op->kind == 'm' && op->on == vcpu)
		run_area = op->object;
}

static long call(const struct op *op, unsigned part)
{
	int on = op->parts == RAM ? ram : op->on < 0 ? -1 : (int)objects[op->on];

	if (op->kind == 'k')
		return open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (op->kind == 'e')
		return eventfd((unsigned)op->n[0], (int)op->n[1]);
	if (op->parts == RAM && part == SHELL)
		return RAM_ADDRESS;
	if (op->kind == 'm')
		return (long)mmap(op->parts == RAM ? (void *)RAM_ADDRESS : NULL, op->n[0],
				  (int)op->n[1], (int)op->n[2], on, (off_t)op->n[3]);
	if (op->patch >= 0)
		memcpy(op->bytes + op->at, &(uint64_t){ objects[op->patch] + op->plus }, op->size);
	return ioctl(on, op->n[0], op->bytes != NULL ? (uintptr_t)op->bytes : op->n[1]);
}

static void replay(unsigned part)
{
	for (const struct op *op = ops; op < ops + n_ops; op++) {
		long r = (op->parts & part) != 0 ? call(op, part) : 0;

		if (r == -1)
			err(1, "line %td of the record", op - ops + 1);
		if (op->object >= 0 && (op->parts & part) != 0)
			objects[op->object] = (uintptr_t)r;
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t run_to_port_write(void)
{
	const struct kvm_run *run = (const struct kvm_run *)objects[run_area];
	int r = ioctl((int)objects[vcpu], KVM_RUN, 0);
	uint64_t at = now_ns();

	if (r < 0 || run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT)
		err(1, "exit %u where a port write was expected", run->exit_reason);
	return at;
}

static uint64_t spawn_here(unsigned part)
{
	uint64_t from, to;

	replay(SHELL & ~part);
	(void)usleep(1000);
	from = now_ns();
	replay(part);
	to = run_to_port_write();
	for (const struct op *op = ops + n_ops; op-- > ops;)
		if (op->kind == 'm')
			(void)munmap((void *)objects[op->object], op->n[0]);
		else if (op->object >= 0 && op->parts != 0)
			(void)close((int)objects[op->object]);
	return to - from;
}

static union {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof ram)];
} control = { { CMSG_LEN(sizeof ram), SOL_SOCKET, SCM_RIGHTS } };
static struct iovec byte = { &(char){ 0 }, 1 };
static struct msghdr message = { NULL, 0, &byte, 1, &control, sizeof control, 0 };

static void work(int sock)
{
	uint64_t at = 0;

	replay(SHELL);
	if (send(sock, &at, sizeof at, 0) < 0 || recvmsg(sock, &message, MSG_CMSG_CLOEXEC) != 1)
		err(1, "no message");
	memcpy(&ram, CMSG_DATA(&control.head), sizeof ram);
	replay(CONTENT);
	at = run_to_port_write();
	(void)send(sock, &at, sizeof at, 0);
	_exit(recv(sock, &at, sizeof at, 0) != 0); /* once it may go */
}

static uint64_t spawn_in_worker(void)
{
	uint64_t from, at;
	int pair[2];

	memcpy(CMSG_DATA(&control.head), &ram, sizeof ram);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0 && fork() == 0 && close(pair[0]) == 0)
		work(pair[1]);
	(void)close(pair[1]);
	if (recv(pair[0], &at, sizeof at, 0) != sizeof at || usleep(1000) != 0)
		errx(1, "no worker");
	from = now_ns();
	if (sendmsg(pair[0], &message, 0) != 1 || recv(pair[0], &at, sizeof at, 0) != sizeof at)
		errx(1, "the worker died");
	(void)close(pair[0]);
	(void)wait(NULL);
	return at - from;
}

int main(int argc, char **argv)
{
	unsigned part = argc == 4 && argv[1][0] == 'c' ? RAM : CONTENT;
	FILE *record = argc == 4 ? fopen(argv[2], "re") : NULL;
	static char line[1 << 16];

	if (record == NULL || (ram = open(argv[3], O_RDONLY | O_CLOEXEC)) < 0)
		errx(2, "usage: bare_spawn cold|pooled|worker RECORD RAM");
	while (n_ops < OPS_MAX && fgets(line, sizeof line, record) != NULL)
		read_op(&ops[n_ops++], line);
	while (vcpu >= 0 && fgets(line, sizeof line, stdin) != NULL) {
		(void)printf("%lu\n", argv[1][0] == 'w' ? spawn_in_worker() : spawn_here(part));
		(void)fflush(stdout);
	}
	return vcpu < 0;
}
