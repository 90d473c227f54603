/* SPDX-License-Identifier: Apache-2.0 */
/* Writes down the KVM calls of a restore, with the bytes they are given, for bare.c to make again.
 * Preloaded (LD_PRELOAD) into a program that restores the snapshot $RECORD_STATE; each opening of
 * that file begins anew, and the vCPU's first entry ends the record and puts it into $RECORD_TO, so
 * the last restore of the process is the one kept: one for which what a process asks only once has
 * been asked. Trusts the program. bare.c says what a line is. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

enum { OBJECTS_MAX = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out; /* NULL: not recording */
static char *text;
static size_t text_len;

/* What the calls made, by number: descriptors, and mappings (len is not 0). */
static struct object {
	uintptr_t value;
	size_t len;
} objects[OBJECTS_MAX];
static int n_objects;

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

_Noreturn static void give_up(const char *what, unsigned long number)
{
	(void)fprintf(stderr, "record: %s %#lx: this recorder does not know it\n", what, number);
	_exit(1);
}

static int object_new(uintptr_t value, size_t len)
{
	if (n_objects == OBJECTS_MAX)
		give_up("object", n_objects);
	objects[n_objects] = (struct object){ value, len };
	return n_objects++;
}

/* The latest one: descriptors are used again. */
static int object_find(uintptr_t value, bool is_map)
{
	for (int i = n_objects - 1; i >= 0; i--) {
		const struct object *o = &objects[i];

		if (is_map ? value - o->value < o->len : o->len == 0 && o->value == value)
			return i;
	}
	return -1;
}

/* ---- what the requests carry ---- */

/* Places in an argument that hold a descriptor or an address. */
static const struct place {
	unsigned long request;
	size_t at, size;
	bool is_map;
} places[] = {
	{ KVM_IRQFD, offsetof(struct kvm_irqfd, fd), 4, false },
	{ KVM_IOEVENTFD, offsetof(struct kvm_ioeventfd, fd), 4, false },
	{ KVM_SET_USER_MEMORY_REGION,
	  offsetof(struct kvm_userspace_memory_region, userspace_addr), 8, true },
	{ KVM_GET_DEVICE_ATTR, offsetof(struct kvm_device_attr, addr), 8, true },
	{ KVM_SET_DEVICE_ATTR, offsetof(struct kvm_device_attr, addr), 8, true },
};

/* The request number tells the size of the fixed part alone. */
static size_t argument_size(int fd, unsigned long request, const void *arg)
{
	int xsave;

	switch (request) {
	case KVM_GET_SUPPORTED_CPUID:
	case KVM_SET_CPUID2:
		return sizeof(struct kvm_cpuid2) +
		       ((const struct kvm_cpuid2 *)arg)->nent * sizeof(struct kvm_cpuid_entry2);
	case KVM_GET_MSR_INDEX_LIST:
		return sizeof(struct kvm_msr_list) +
		       ((const struct kvm_msr_list *)arg)->nmsrs * sizeof(uint32_t);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return sizeof(struct kvm_msrs) +
		       ((const struct kvm_msrs *)arg)->nmsrs * sizeof(struct kvm_msr_entry);
	case KVM_SET_XSAVE:
		xsave = REAL(ioctl)(fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
		return xsave > (int)sizeof(struct kvm_xsave) ? (size_t)xsave
							     : sizeof(struct kvm_xsave);
	default:
		return _IOC_SIZE(request);
	}
}

/* Answers do not matter when the call is made again, only that it is made. */
static bool is_question(unsigned long request)
{
	switch (request) {
	case KVM_GET_API_VERSION:
	case KVM_CHECK_EXTENSION:
	case KVM_GET_VCPU_MMAP_SIZE:
	case KVM_GET_SUPPORTED_CPUID:
	case KVM_GET_MSR_INDEX_LIST:
	case KVM_GET_MSRS:
	case KVM_GET_TSC_KHZ:
	case KVM_GET_DEVICE_ATTR:
		return true;
	default:
		return false;
	}
}

/* ---- lines: WORD OBJECT ON A B C D BYTES WENT [AT,SIZE,OBJECT,PLUS]... ---- */

static void put_line(const char *word, int object, int on, const uint64_t n[4])
{
	(void)fprintf(out, "%s %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, word, object, on,
		      n[0], n[1], n[2], n[3]);
}

static void put_bytes(FILE *to, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	if (n == 0)
		(void)fputc('-', to);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(to, "%02x", p[i]);
}

/* A call that takes only numbers, and works. */
static int put_plain(const char *word, uintptr_t value, size_t len, int on, const uint64_t n[4])
{
	int object = object_new(value, len);

	put_line(word, object, on, n);
	(void)fputs(" - works\n", out);
	return object;
}

/* An attribute's value lies elsewhere: 8 bytes for each that is used. */
static void put_attribute(const struct kvm_device_attr *attr)
{
	put_line("bytes", object_new((uintptr_t)attr->addr, 8), -1, (uint64_t[4]){ 0 });
	(void)fputc(' ', out);
	put_bytes(out, (const void *)(uintptr_t)attr->addr, 8);
	(void)fputs(" works\n", out);
}

static void put_places(FILE *to, unsigned long request, const uint8_t *arg)
{
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		const struct place *p = &places[i];
		uint64_t value = 0;
		int id;

		if (p->request != request)
			continue;
		memcpy(&value, arg + p->at, p->size);
		id = object_find(value, p->is_map);
		if (id < 0)
			give_up("what is in the argument of", request);
		(void)fprintf(to, " %zu,%zu,%d,%" PRIu64, p->at, p->size, id,
			      p->is_map ? value - objects[id].value : 0);
	}
}

/* Makes the call and writes it down. The argument is copied before: the call may change it. */
static int record_ioctl(int on, int fd, unsigned long request, uintptr_t arg)
{
	bool is_number = _IOC_DIR(request) == _IOC_NONE;
	char *bytes = NULL, *patches = NULL;
	size_t len;
	FILE *b = open_memstream(&bytes, &len), *p = open_memstream(&patches, &len);
	int r, object = -1;

	if (request == KVM_GET_DEVICE_ATTR || request == KVM_SET_DEVICE_ATTR)
		put_attribute((const void *)arg);
	put_bytes(b, (const void *)arg, is_number ? 0 : argument_size(fd, request, (void *)arg));
	if (!is_number)
		put_places(p, request, (const void *)arg);
	(void)fclose(b);
	(void)fclose(p);
	r = REAL(ioctl)(fd, request, arg);
	if (r >= 0 && (request == KVM_CREATE_VM || request == KVM_CREATE_VCPU))
		object = object_new((uintptr_t)r, 0);
	put_line(is_question(request) ? "ask" : "set", object, on,
		 (uint64_t[4]){ request, is_number ? arg : 0 });
	(void)fprintf(out, " %s %s%s\n", bytes, r < 0 ? "fails" : "works", patches);
	free(bytes);
	free(patches);
	return r;
}

/* ---- the calls ---- */

static void record_begin(void)
{
	if (out != NULL)
		(void)fclose(out);
	free(text);
	n_objects = 0;
	out = open_memstream(&text, &text_len);
}

/* The run areas were mapped by descriptors of their vCPUs. */
static void record_end(int vcpu)
{
	FILE *to = fopen(getenv("RECORD_TO"), "we");

	put_line("run", -1, vcpu, (uint64_t[4]){ 0 });
	(void)fputs(" - works\n", out);
	(void)fclose(out);
	out = NULL;
	if (to == NULL || fwrite(text, 1, text_len, to) != text_len || fclose(to) != 0) {
		perror("record: RECORD_TO");
		_exit(1);
	}
}

static void note_open(const char *path, int fd)
{
	const char *state = getenv("RECORD_STATE");

	if (fd < 0 || state == NULL)
		return;
	(void)pthread_mutex_lock(&lock);
	if (strcmp(path, state) == 0)
		record_begin();
	if (out != NULL && (strcmp(path, state) == 0 || strcmp(path, "/dev/kvm") == 0))
		(void)put_plain(strcmp(path, state) == 0 ? "file" : "kvm", (uintptr_t)fd, 0, -1,
				(uint64_t[4]){ 0 });
	(void)pthread_mutex_unlock(&lock);
}

#define OPEN(name) \
	EXPORTED int name(const char *path, int flags, ...) \
	{ \
		va_list args; \
		int fd; \
		va_start(args, flags); \
		fd = REAL(name)(path, flags, va_arg(args, mode_t)); \
		va_end(args); \
		note_open(path, fd); \
		return fd; \
	}
OPEN(open)
OPEN(open64)

EXPORTED int eventfd(unsigned count, int flags)
{
	int fd = REAL(eventfd)(count, flags);

	(void)pthread_mutex_lock(&lock);
	if (out != NULL && fd >= 0)
		(void)put_plain("eventfd", (uintptr_t)fd, 0, -1,
				(uint64_t[4]){ count, (uint64_t)flags });
	(void)pthread_mutex_unlock(&lock);
	return fd;
}

/* A second descriptor of the same file is as good as the first. */
EXPORTED int fcntl64(int fd, int cmd, ...)
{
	va_list args;
	int r, id;

	va_start(args, cmd);
	r = REAL(fcntl64)(fd, cmd, va_arg(args, long));
	va_end(args);
	(void)pthread_mutex_lock(&lock);
	id = out != NULL && r >= 0 && cmd == F_DUPFD_CLOEXEC ? object_find((uintptr_t)fd, false) : -1;
	if (id >= 0)
		(void)put_plain("dup", (uintptr_t)r, 0, id, (uint64_t[4]){ 0 });
	(void)pthread_mutex_unlock(&lock);
	return r;
}

static void note_mmap(void *map, size_t len, int prot, int flags, int fd, off_t at)
{
	int id;

	if (map == MAP_FAILED || fd < 0)
		return;
	(void)pthread_mutex_lock(&lock);
	id = out == NULL ? -1 : object_find((uintptr_t)fd, false);
	if (id >= 0)
		(void)put_plain("map", (uintptr_t)map, len, id,
				(uint64_t[4]){ len, (uint64_t)prot, (uint64_t)flags, (uint64_t)at });
	(void)pthread_mutex_unlock(&lock);
}

#define MMAP(name) \
	EXPORTED void *name(void *addr, size_t len, int prot, int flags, int fd, off_t at) \
	{ \
		void *map = REAL(name)(addr, len, prot, flags, fd, at); \
		note_mmap(map, len, prot, flags, fd, at); \
		return map; \
	}
MMAP(mmap)
MMAP(mmap64)

EXPORTED int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	uintptr_t arg;
	int on, r;

	va_start(args, request);
	arg = va_arg(args, uintptr_t);
	va_end(args);
	if (_IOC_TYPE(request) != KVMIO)
		return REAL(ioctl)(fd, request, arg);
	(void)pthread_mutex_lock(&lock);
	on = out == NULL ? -1 : object_find((uintptr_t)fd, false);
	if (out != NULL && on < 0)
		give_up("descriptor for", request);
	if (request == KVM_RUN) {
		if (out != NULL)
			record_end(on);
		(void)pthread_mutex_unlock(&lock);
		return REAL(ioctl)(fd, request, arg);
	}
	r = out != NULL ? record_ioctl(on, fd, request, arg) : REAL(ioctl)(fd, request, arg);
	(void)pthread_mutex_unlock(&lock);
	return r;
}
