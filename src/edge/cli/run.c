/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/own.h"
#include "edge/cli/cli.h"
#include "edge/cli/say.h"
#include "edge/cli/session.h"

struct values {
	const char *kernel, *initrd, *cmdline, *boot, *name, *api_sock, *config;
	uint32_t cpus;
	uint64_t memory;
	struct text_list disks;
	bool detach;
};

/* Numbers that were not given: zero is somebody's mistake, to be told by whoever judges it. */
#define CPUS_UNSAID   UINT32_MAX
#define MEMORY_UNSAID UINT64_MAX

static const struct values defaults = { .cpus = CPUS_UNSAID, .memory = MEMORY_UNSAID };

static const struct option options[] = {
	{ "kernel", 0, OPTION_TEXT, "FILE", "an ELF vmlinux or a bzImage",
	  offsetof(struct values, kernel) },
	{ "initrd", 0, OPTION_TEXT, "FILE", "the initial RAM disk", offsetof(struct values, initrd) },
	{ "cmdline", 0, OPTION_TEXT, "TEXT", "the kernel's command line",
	  offsetof(struct values, cmdline) },
	{ "boot", 0, OPTION_TEXT, "HOW", "auto, pvh, linux64 or bzimage (the kernel's own loader)",
	  offsetof(struct values, boot) },
	{ "cpus", 0, OPTION_COUNT, "N", "virtual processors, 1 to 64 (1)",
	  offsetof(struct values, cpus) },
	{ "memory", 0, OPTION_SIZE, "SIZE", "RAM, at least 16M (128M)",
	  offsetof(struct values, memory) },
	{ "disk", 0, OPTION_LIST, "FILE[,MODE]", "a disk; MODE is ro, rw (the default) or cow",
	  offsetof(struct values, disks) },
	{ "name", 0, OPTION_TEXT, "NAME", "what to call the machine", offsetof(struct values, name) },
	{ "detach", 0, OPTION_FLAG, NULL, "return when it runs, and print its name",
	  offsetof(struct values, detach) },
	{ "api-sock", 0, OPTION_TEXT, "PATH", "a control socket here as well",
	  offsetof(struct values, api_sock) },
	{ "config", 0, OPTION_TEXT, "FILE", "a JSON document to begin with; options go over it",
	  offsetof(struct values, config) },
};

enum { CONFIG_MAX = 1 << 20 };

/* All of a small file; a pipe will do. */
static bool file_read(const char *path, char **ret_text, size_t *ret_len)
{
	owned_fd fd = { open(path, O_RDONLY | O_CLOEXEC) };
	owned_heap char *text = malloc(CONFIG_MAX);
	size_t len = 0;
	ssize_t n = 1;

	if (fd.raw < 0 || text == NULL) {
		say_error("run", "%s: %s", path, strerrordesc_np(errno));
		return false;
	}
	while (n > 0 && len < CONFIG_MAX) {
		n = read(fd.raw, text + len, CONFIG_MAX - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 || len == CONFIG_MAX) {
		say_error("run", "%s: %s", path,
			  n < 0 ? strerrordesc_np(errno) : "expected less than 1 MiB");
		return false;
	}
	*ret_text = take_ptr(text);
	*ret_len = len;
	return true;
}

/* NULL: *ret_status. */
static struct spore_config *config_read(const char *path, int *ret_status)
{
	owned_heap char *text = NULL;
	struct spore_config *c;
	struct spore_error err;
	size_t len;

	*ret_status = STATUS_INPUT;
	if (!file_read(path, &text, &len))
		return NULL;
	if (spore_config_read(text, len, &c, &err) == SPORE_OK)
		return c;
	say_error("run", "%s: %s", path, err.text);
	return NULL;
}

/* "FILE", "FILE,MODE". The text is cut in place: it is this process's own argument. */
static bool disk_read(const char *text, struct spore_disk *ret)
{
	static const char *const words[] = { "ro", "rw", "cow" };
	char *comma = strrchr(text, ',');

	*ret = (struct spore_disk){ text, SPORE_DISK_RW, 0 };
	if (comma == NULL)
		return true;
	for (size_t i = 0; i < countof(words); i++) {
		if (strcmp(comma + 1, words[i]) == 0) {
			*comma = '\0';
			ret->mode = SPORE_DISK_RO + (uint32_t)i;
			return true;
		}
	}
	say_error("run", "--disk: %s: expected ro, rw or cow behind the last comma", text);
	return false;
}

static bool boot_read(const char *text, uint32_t *ret)
{
	static const char *const words[] = { "auto", "pvh", "linux64", "bzimage" };

	if (text == NULL)
		return true;
	for (uint32_t i = 0; i < countof(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	say_error("run", "--boot: '%s': expected auto, pvh, linux64 or bzimage", text);
	return false;
}

/* The options over the document's words. `disks` has room for both's. */
static bool config_complete(const struct values *v, struct spore_disk *disks,
			    struct spore_config *io)
{
	for (size_t i = 0; i < io->n_disks; i++)
		disks[i] = io->disks[i];
	for (size_t i = 0; i < v->disks.n; i++)
		if (!disk_read(v->disks.v[i], &disks[io->n_disks++]))
			return false;
	io->disks = disks;
	io->kernel = v->kernel != NULL ? v->kernel : io->kernel;
	io->initrd = v->initrd != NULL ? v->initrd : io->initrd;
	io->cmdline = v->cmdline != NULL ? v->cmdline : io->cmdline;
	io->cpus = v->cpus != CPUS_UNSAID ? v->cpus : io->cpus;
	io->memory = v->memory != MEMORY_UNSAID ? v->memory : io->memory;
	if (io->kernel == NULL)
		say_error("run", "expected --kernel FILE, or --config FILE with a boot source");
	return io->kernel != NULL && boot_read(v->boot, &io->boot);
}

static int boot(struct session *s, struct spore_config *c, const char *name, bool detach)
{
	struct spore_error err;
	int status;

	if (!session_serve(s, name, &status))
		return status;
	c->name = session_name(s);
	if (spore_machine_boot(session_machine(s), c, &err) != SPORE_OK)
		return session_abandon(s, say_failure("run", &err));
	if (detach)
		printf("%s\n", session_name(s));
	return session_run(s);
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct session_options o = { .command = "run", .api_sock = v->api_sock,
				     .publish = true, .detach = v->detach };
	struct spore_config c = SPORE_CONFIG_INIT;
	struct spore_disk disks[2 * LIST_MAX];
	owned_heap struct spore_config *document = NULL;
	struct session *s;
	int status;

	(void)operand;
	if (v->config != NULL) {
		document = config_read(v->config, &status);
		if (document == NULL)
			return status;
		c = *document;
	}
	if (!config_complete(v, disks, &c))
		return STATUS_USAGE;
	s = session_open(&o, &status);
	return s == NULL ? status : boot(s, &c, v->name, v->detach);
}

const struct command command_run = {
	.name = "run",
	.summary = "boot a machine",
	.details = "The console is on the terminal: Ctrl-A x stops the machine, Ctrl-A a types a Ctrl-A,\n"
		   "Ctrl-A h tells about the keys. A path with a comma in it needs its mode behind it.\n"
		   "The exit status says how the machine ended: 0 power-off, 3 reset, 4 crash, 5 stopped.",
	.options = options, .n_options = countof(options),
	.defaults = &defaults, .size = sizeof defaults, .run = run,
};
static_assert(sizeof(struct values) <= VALUES_MAX, "they fit");
