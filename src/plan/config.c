/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of requests. Trusts nothing but that strings end. */
#include "plan/config.h"

#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "flow.h"
#include "plan/map.h"
#include "wire/field.h"

struct config {
	struct request kept;                         /* its pointers lead to what follows */
	char *name, *kernel, *initrd, *cmdline;      /* owned; NULL where absent */
	char *disk_paths[CONFIG_DISKS_MAX];          /* owned */
	struct disk_request disks[CONFIG_DISKS_MAX];
};

static void config_drop(struct config **c)
{
	config_free(*c);
}

static bool name_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* A name becomes a folder's name and an argument: nothing that a shell, a path or an option
 * parser could take for something else. */
static err_t name_check(const char *name, struct diag *d)
{
	size_t n;

	if (name == NULL)
		return OK;
	n = strnlen(name, CONFIG_NAME_MAX + 1);
	if (n == 0)
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine's name is empty, "
				 "expected 1 to %d characters", CONFIG_NAME_MAX);
	if (n > CONFIG_NAME_MAX)
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine's name has more than %d "
				 "characters, expected 1 to %d", CONFIG_NAME_MAX, CONFIG_NAME_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!name_char_ok(name[i]))
			return diag_fail(d, FAIL(ERR_CONFIG), "the machine's name has the byte "
					 "0x%02x at position %zu, expected letters, digits, '-', "
					 "'_' and '.' only", (unsigned)(unsigned char)name[i], i + 1);
	}
	if (name[0] == '.' || name[0] == '-')
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine's name '%s' begins with '%c', "
				 "expected a letter, a digit or '_'", name, name[0]);
	return OK;
}

/* Snapshots and JSON documents hold it. */
static bool text_ok(const char *s)
{
	return utf8_ok((const uint8_t *)s, strlen(s));
}

/* NULL when it can name a file. */
static const char *path_fault(const char *path)
{
	static_assert(DEVICE_PATH_MAX == 4096, "the sentence below says so");

	if (path == NULL)
		return "is missing";
	if (path[0] == '\0')
		return "is empty";
	if (strnlen(path, DEVICE_PATH_MAX) == DEVICE_PATH_MAX)
		return "is longer than 4095 bytes";
	if (!text_ok(path))
		return "is not UTF-8";
	return NULL;
}

static err_t boot_check(const struct request *in, struct diag *d)
{
	const char *kernel = path_fault(in->kernel);
	const char *initrd = in->initrd != NULL ? path_fault(in->initrd) : NULL;

	if (kernel != NULL)
		return diag_fail(d, FAIL(ERR_CONFIG), "the path of the kernel %s, expected that of "
				 "an ELF vmlinux or a bzImage", kernel);
	if (initrd != NULL)
		return diag_fail(d, FAIL(ERR_CONFIG), "the path of the initrd %s, expected the "
				 "name of a file", initrd);
	if (in->cmdline != NULL &&
	    strnlen(in->cmdline, CONFIG_CMDLINE_MAX + 1) > CONFIG_CMDLINE_MAX)
		return diag_fail(d, FAIL(ERR_CONFIG), "the kernel's command line is longer than "
				 "%d bytes", CONFIG_CMDLINE_MAX);
	if (in->cmdline != NULL && !text_ok(in->cmdline))
		return diag_fail(d, FAIL(ERR_CONFIG), "the kernel's command line is not UTF-8");
	switch (in->boot) {
	case BOOT_AUTO:
	case BOOT_PVH:
	case BOOT_LINUX64:
	case BOOT_BZIMAGE:
		return OK;
	}
	return diag_fail(d, FAIL(ERR_CONFIG), "the boot method has the number %d, expected 0 to %d",
			 (int)in->boot, (int)BOOT_BZIMAGE);
}

static err_t size_check(const struct request *in, struct diag *d)
{
	const char *expected = map_ram_fault(in->ram);

	if (in->cpus < 1 || in->cpus > SHAPE_VCPUS_MAX)
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine is to have %" PRIu32 " vCPUs, "
				 "expected 1 to %d", in->cpus, SHAPE_VCPUS_MAX);
	if (expected != NULL)
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine is to have %" PRIu64 " bytes of "
				 "memory, expected %s", in->ram.v, expected);
	return OK;
}

static bool disk_mode_ok(enum disk_mode mode)
{
	switch (mode) {
	case DISK_RO:
	case DISK_RW:
	case DISK_COW:
		return true;
	}
	return false;
}

static err_t disks_check(const struct request *in, struct diag *d)
{
	if (in->n_disks > CONFIG_DISKS_MAX)
		return diag_fail(d, FAIL(ERR_CONFIG), "the machine is to have %zu disks, expected "
				 "at most %d", in->n_disks, CONFIG_DISKS_MAX);
	for (size_t i = 0; i < in->n_disks; i++) {
		const struct disk_request *disk = &in->disks[i];
		const char *fault = path_fault(disk->path);

		if (fault != NULL)
			return diag_fail(d, FAIL(ERR_CONFIG), "the path of disk %zu %s, expected "
					 "the name of a file", i, fault);
		if (!disk_mode_ok(disk->mode))
			return diag_fail(d, FAIL(ERR_CONFIG), "disk %zu has the mode number %d, "
					 "expected ro (%d), rw (%d) or cow (%d)", i,
					 (int)disk->mode, (int)DISK_RO, (int)DISK_RW, (int)DISK_COW);
	}
	return OK;
}

/* NULL stays NULL. */
static err_t keep(const char *in, char **ret_own, const char **ret_view)
{
	if (in == NULL)
		return OK;
	*ret_own = strdup(in);
	*ret_view = *ret_own;
	return *ret_own != NULL ? OK : FAIL(ERR_NOMEM);
}

static err_t config_fill(struct config *c, const struct request *in)
{
	struct request *r = &c->kept;

	*r = (struct request){
		.boot = in->boot,
		.cpus = in->cpus,
		.ram = in->ram,
		.n_disks = in->n_disks,
		.disks = c->disks,
	};
	TRY(keep(in->name, &c->name, &r->name));
	TRY(keep(in->kernel, &c->kernel, &r->kernel));
	TRY(keep(in->initrd, &c->initrd, &r->initrd));
	TRY(keep(in->cmdline != NULL ? in->cmdline : map_cmdline(), &c->cmdline, &r->cmdline));
	for (size_t i = 0; i < in->n_disks; i++) {
		c->disks[i].mode = in->disks[i].mode;
		TRY(keep(in->disks[i].path, &c->disk_paths[i], &c->disks[i].path));
	}
	return OK;
}

err_t config_validate(const struct request *in, struct diag *d, const struct config **ret_cfg)
{
	__attribute__((cleanup(config_drop))) struct config *c = NULL;

	TRY(name_check(in->name, d));
	TRY(boot_check(in, d));
	TRY(size_check(in, d));
	TRY(disks_check(in, d));
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return FAIL(ERR_NOMEM);
	TRY(config_fill(c, in));
	*ret_cfg = take_ptr(c);
	return OK;
}

void config_free(const struct config *c)
{
	if (c == NULL)
		return;
	free(c->name);
	free(c->kernel);
	free(c->initrd);
	free(c->cmdline);
	for (size_t i = 0; i < c->kept.n_disks; i++)
		free(c->disk_paths[i]);
	free((void *)c);
}

struct shape config_shape(const struct config *c)
{
	struct shape s = { .arch = map_arch(), .vcpus = c->kept.cpus, .ram = c->kept.ram };

	for (size_t i = 0; i < c->kept.n_disks; i++)
		s.devices[s.n_devices++] = (struct dev_shape){ DEV_BLK, 1 };
	s.devices[s.n_devices++] = (struct dev_shape){ DEV_RNG, 1 };
	return s;
}

const struct request *config_request(const struct config *c)
{
	return &c->kept;
}
